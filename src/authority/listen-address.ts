import type { Server } from 'node:net';
import { MeshError } from '../domain/mesh-error.ts';

export interface HostPort {
  readonly host: string;
  /** 0: any that is free. */
  readonly port: number;
}

const ADDRESS = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+)):([0-9]{1,5})$/;

/** `host:port`, IPv6 in brackets, port 0 to 65535; `undefined` for anything else. */
export function readListenAddress(text: string): HostPort | undefined {
  const [, ipv6, name, port] = ADDRESS.exec(text) ?? [];
  const host = ipv6 ?? name;
  return host === undefined || Number(port) > 65_535 ? undefined : { host, port: Number(port) };
}

/**
 * Binds a server and says where.
 *
 * @param where for the message: what it is for.
 * @throws MeshError `ADDRESS_IN_USE`; otherwise the system's error, under a message that names the address
 */
export async function listen(
  server: Server,
  target: HostPort | { readonly path: string },
  where: string,
): Promise<string> {
  const name = 'path' in target ? target.path : formatAddress(target);
  await new Promise<void>((resolve, reject) => {
    const fail = (cause: NodeJS.ErrnoException): void => {
      if (cause.code === 'EADDRINUSE') {
        const hint = 'stop what listens there (`ss -ltnp`), or configure another address';
        reject(new MeshError('ADDRESS_IN_USE', `${where}: ${name} is in use by another process`, { cause, hint }));
      } else reject(new MeshError('START_FAILED', `${where}: cannot listen on ${name}: ${cause.message}`, { cause }));
    };
    server.once('error', fail);
    server.listen(target, () => {
      server.off('error', fail);
      resolve();
    });
  });
  const bound = server.address();
  if (bound === null || typeof bound === 'string') return name;
  return formatAddress({ host: bound.address, port: bound.port });
}

export function formatAddress({ host, port }: HostPort): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
