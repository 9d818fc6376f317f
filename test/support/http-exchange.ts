import { request } from 'node:http';

export interface HttpQuestion {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
}

/** Any HTTP/1.1 request to a unix socket or a loopback port, and its whole answer. */
export function ask(
  where: { readonly socketPath: string } | { readonly port: number },
  { method = 'GET', path, headers = {}, body }: HttpQuestion,
): Promise<{ readonly status: number; readonly type: string; readonly text: string }> {
  return new Promise((resolve, reject) => {
    const call = request(
      { host: '127.0.0.1', ...where, method, path, headers, timeout: 5_000, agent: false },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          resolve({
            status: response.statusCode ?? 0,
            type: response.headers['content-type'] ?? '',
            text: Buffer.concat(chunks).toString(),
          });
        });
      },
    );
    call.on('timeout', () => call.destroy(new Error(`no answer to ${method} ${path}`)));
    call.on('error', reject);
    call.end(body);
  });
}
