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

/**
 * Finds the pinned root among the certificates that a server sent, at first contact, when there is no bundle yet. It
 * says nothing about the others: dial again trusting only the result, and let TLS verify the chain. Fails closed: a
 * malformed pin finds nothing.
 *
 * @param chain DER, in any order; a server that takes joins sends its root along.
 */
export function findPinnedRoot(chain: readonly Uint8Array[], pin: RootPin): Uint8Array | undefined {
  return isRootPin(pin) ? chain.find((der) => rootPin(der) === pin) : undefined;
}
