import { splitAddress } from '../membership/secure-outbound.ts';

/** A plaintext address beside the agent: a unix socket, or a port. */
export type LocalAddress = { readonly path: string } | { readonly host: string; readonly port: number };

/** @param text `unix:/path/to/socket` or `host:port` */
export function parseLocalAddress(text: string): LocalAddress {
  return text.startsWith('unix:') ? { path: text.slice('unix:'.length) } : splitAddress(text);
}
