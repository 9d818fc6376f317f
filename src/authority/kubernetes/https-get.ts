import { get } from 'node:https';
import { issuerTlsOptions } from '../../crypto/issuer-tls.ts';

/** For the whole answer, in ms and bytes; a key set has some 2 KB. */
const TIMEOUT_MS = 5_000;
const MAX_BYTES = 512 * 1024;

/**
 * Fetches a small JSON document: TLS verified, no redirects, no proxy, bounded in time and size.
 *
 * @param caPem see {@link issuerTlsOptions}.
 * @throws Error whose message says what was wrong, for the operator
 */
export function httpsGet(url: string, caPem: string | undefined): Promise<string> {
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const fail = (cause: Error): void => {
      const why = signal.aborted ? `no answer within ${TIMEOUT_MS} ms` : cause.message;
      reject(new Error(`${url}: ${why}`, { cause }));
    };
    const options = { ...issuerTlsOptions(caPem), agent: false, signal, headers: { accept: 'application/json' } };
    const call = get(url, options, (response) => {
      const chunks: Buffer[] = [];
      let length = 0;
      response.on('error', fail);
      if (response.statusCode !== 200) {
        call.destroy(new Error(`it answers HTTP ${response.statusCode}`));
        return;
      }
      response.on('data', (chunk: Buffer) => {
        length += chunk.length;
        if (length > MAX_BYTES) call.destroy(new Error(`more than ${MAX_BYTES} bytes`));
        else chunks.push(chunk);
      });
      response.on('end', () => resolve(Buffer.concat(chunks).toString('utf8')));
    });
    call.on('error', fail);
  });
}
