import { readFileSync } from 'node:fs';
import { createSecureServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { createCertificates, type CertificateFiles } from '../certificates.ts';
import type { ProxyPair } from '../proxies.ts';
import type { ContenderId, Field } from './contenders.ts';
import { callAlone, cipherOf, isWhole } from './single-call.ts';

const PERMISSION_DENIED = '7';

/**
 * That the comparison is fair. Of each pair the second proxy refuses whoever has no certificate, or one of another root,
 * or speaks TLS 1.2; the first proxy makes no call to a server with a certificate of another root; all agree on the same
 * cipher; and a call comes through with its message and its status.
 *
 * What the caller's sidecar does with a server of another root is not asked here: it needs more than a certificate.
 *
 * @returns what was found, one line each
 * @throws Error when it is not fair
 */
export async function checkFairness(
  { folder, files }: Field,
  running: ReadonlyMap<ContenderId, ProxyPair>,
): Promise<string[]> {
  const foreign = createCertificates(folder, 'foreign-');
  const own = clientFiles(files);
  const notes: string[] = [];
  const ciphers = new Set<string>();
  for (const pair of running.values()) {
    const entry = `http://127.0.0.1:${pair.port}`;
    const through = await callAlone(entry);
    if (!isWhole(through)) fail(pair, 'does not carry a call', through);
    const refusals = await refusalsOf(pair, foreign);
    if (pair.callerTo !== undefined) {
      // Who has the right certificate is let in, so that the others were refused for theirs.
      const answer = await callAlone(`https://127.0.0.1:${pair.between}`, own);
      if (!isWhole(answer)) fail(pair, 'refuses the right certificate', answer);
      await refusesImpostor(pair, foreign);
    }
    if ((await cipherOf(pair.between, { ...own, maxVersion: 'TLSv1.2' })) !== undefined) fail(pair, 'speaks TLS 1.2');
    ciphers.add((await cipherOf(pair.between, own)) ?? 'none');
    notes.push(`${pair.name} refuses a client with ${refusals.join('; ')}`);
  }
  if (ciphers.size !== 1) throw new Error(`the pairs use different ciphers: ${[...ciphers].join(', ')}`);
  return [...notes, `all speak TLS 1.3 only, and agree on ${[...ciphers].join()}`];
}

/** Whether the sidecars decide: the one call that no grant names is refused as not permitted. */
export async function decidesCalls(pair: ProxyPair): Promise<boolean> {
  const { grpcStatus } = await callAlone(`http://127.0.0.1:${pair.port}`, {}, '/bench.Echo/Other');
  return grpcStatus === PERMISSION_DENIED;
}

async function refusalsOf(pair: ProxyPair, foreign: CertificateFiles): Promise<string[]> {
  const refusals: string[] = [];
  for (const [who, shown] of [
    ['no certificate', {}],
    ['one of another root', clientFiles(foreign)],
  ] as const) {
    const answer = await callAlone(`https://127.0.0.1:${pair.between}`, shown);
    if (answer.status === 200) fail(pair, `lets in a client with ${who}`, answer);
    const how = answer.status === undefined ? 'connection closed' : `status ${answer.status}`;
    refusals.push(`${who}: ${answer.error ?? how}`);
  }
  return refusals;
}

/** A server with a certificate of another root, which would answer whatever it is asked, is asked nothing. */
async function refusesImpostor(pair: ProxyPair, foreign: CertificateFiles): Promise<void> {
  let calls = 0;
  const impostor = createSecureServer(clientFiles(foreign), () => undefined);
  impostor.on('stream', (stream) => {
    calls += 1;
    stream.on('error', () => undefined).respond({ ':status': 200 }, { endStream: true });
  });
  await new Promise<void>((resolve) => impostor.listen(0, '127.0.0.1', resolve));
  const caller = await pair.callerTo?.((impostor.address() as AddressInfo).port);
  const answer = await callAlone(`http://127.0.0.1:${caller?.port}`);
  await caller?.stop();
  await new Promise((resolve) => impostor.close(resolve));
  if (calls > 0) fail(pair, 'calls a server with a certificate of another root', answer);
}

function clientFiles({ cert, key }: CertificateFiles): { readonly cert: Buffer; readonly key: Buffer } {
  return { cert: readFileSync(cert), key: readFileSync(key) };
}

function fail({ name }: ProxyPair, what: string, found: object = {}): never {
  throw new Error(`${name} ${what}: ${JSON.stringify(found)}`);
}
