import type { ServerResponse } from 'node:http';

/** Said with every answer, whatever it is. */
export const SIMULATED_HEADER = 'ait-simulated';

/** Names the answering program in chat completions; begins with what nobody should overlook. */
export const SYSTEM_FINGERPRINT = 'simulated-ait-mesh';

export function sendJson(response: ServerResponse, status: number, body: object): void {
  const text = JSON.stringify(body);
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
  });
  response.end(text);
}
