import { request } from 'node:http';

/** What an HTTP server on a unix socket or at `host:port` answers to a GET. */
export function httpGet(
  where: { readonly socketPath: string } | { readonly address: string },
  path: string,
): Promise<string> {
  const target = 'address' in where ? { host: hostOf(where.address), port: portOf(where.address) } : where;
  return new Promise((resolve, reject) => {
    const call = request({ ...target, path, timeout: 5_000, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => resolve(Buffer.concat(chunks).toString()));
      response.on('error', reject);
    });
    call.on('timeout', () => call.destroy(new Error(`no answer to GET ${path}`)));
    call.on('error', reject);
    call.end();
  });
}

export function hostOf(address: string): string {
  return address.slice(0, address.lastIndexOf(':'));
}

export function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(':') + 1));
}
