import { createHash } from 'node:crypto';

/** SHA-256 of a root certificate in DER, 64 lowercase hexadecimal characters: what a join credential carries. */
export type RootPin = string;

const PIN = /^[0-9a-f]{64}$/;

export function rootPin(der: Uint8Array): RootPin {
  return createHash('sha256').update(der).digest('hex');
}

export function isRootPin(text: unknown): text is RootPin {
  return typeof text === 'string' && PIN.test(text);
}

/** Nobody resolves it (RFC 6761), and no name of a host can be taken for it. */
const SERVER_NAME = /^([0-9a-f]{32})\.([0-9a-f]{32})\.root\.invalid$/;

/**
 * The name (SNI) by which a client tells a server which root it knows: the pin, in two labels because one has at most
 * 63 characters.
 */
export function serverNameOfPin(pin: RootPin): string {
  return `${pin.slice(0, 32)}.${pin.slice(32)}.root.invalid`;
}

/** The pin in such a name; `undefined` for any other name. */
export function pinOfServerName(name: string): RootPin | undefined {
  const [, first, second] = SERVER_NAME.exec(name) ?? [];
  return first === undefined || second === undefined ? undefined : first + second;
}

/**
 * Finds a pinned root among the certificates that a server sent, at first contact, when there is no bundle yet. It
 * says nothing about the others: dial again trusting only the result, and let TLS verify the chain. Fails closed: a
 * malformed pin finds nothing, and neither does none.
 *
 * @param chain DER, in any order; a server that takes joins sends its root along.
 */
export function findPinnedRoot(chain: readonly Uint8Array[], ...pins: readonly RootPin[]): Uint8Array | undefined {
  return chain.find((der) => pins.some((pin) => isRootPin(pin) && rootPin(der) === pin));
}
