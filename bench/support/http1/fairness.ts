import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { request as tlsRequest, type RequestOptions } from 'node:https';
import { createCertificates } from '../certificates.ts';
import { ECHO_PATH } from '../dataplane/backend.ts';
import type { ProxyPair } from '../proxies.ts';
import { ANSWER, REQUEST } from './exchanged.ts';
import type { Http1Field } from './field.ts';

/**
 * That the comparison is fair: each pair carries a call, and its second proxy makes none for a client without a
 * certificate, or with one of another root.
 *
 * @returns what was found, one line each
 * @throws Error when it is not fair
 */
export async function checkHttp1Fairness({ folder, running }: Http1Field): Promise<string[]> {
  const { cert, key } = createCertificates(folder, 'foreign-');
  const foreign = { cert: readFileSync(cert), key: readFileSync(key) };
  const notes: string[] = [];
  for (const pair of running.values()) {
    const through = await post(pair, undefined);
    if (through !== ANSWER) throw new Error(`${pair.name} does not carry a call: ${through}`);
    for (const [who, shown] of [
      ['no certificate', {}],
      ['one of another root', foreign],
    ] as const) {
      const answer = await post(pair, shown);
      if (answer === ANSWER) throw new Error(`${pair.name} lets in a client with ${who}`);
    }
    notes.push(`${pair.name} lets in nobody without a certificate of its root`);
  }
  return notes;
}

/** Whether the sidecars decide: the one call that no grant names is refused as not permitted. */
export async function decidesRequests(pair: ProxyPair): Promise<boolean> {
  return (await post(pair, undefined, '/bench.Echo/Other')).includes('CALL_NOT_GRANTED');
}

/** @param tls who is shown to the second proxy; `undefined`: the first one is called. @returns the body, or what went wrong */
function post({ port, between }: ProxyPair, tls: RequestOptions | undefined, path = ECHO_PATH): Promise<string> {
  return new Promise((resolve) => {
    const common = { host: '127.0.0.1', method: 'POST', path, agent: false as const, timeout: 10_000 };
    const send = tls === undefined ? request : tlsRequest;
    const call = send(
      { ...common, port: tls === undefined ? port : between, rejectUnauthorized: false, ...tls },
      (answer) => {
        let body = '';
        answer.setEncoding('utf8').on('data', (text: string) => (body += text));
        answer.on('end', () => resolve(body)).on('error', (error) => resolve(String(error)));
      },
    );
    call.on('timeout', () => call.destroy(new Error('no answer')));
    call.on('error', (error) => resolve(String(error)));
    call.end(REQUEST);
  });
}
