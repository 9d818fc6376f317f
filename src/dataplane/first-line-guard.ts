import { byClient } from './first-words.ts';
import type { Tap } from './tunnel.ts';

/**
 * Watches a connection whose calls nobody can see, and that began with what might have become a request: if it does
 * become one after all, it would pass undecided, and could say of itself who its sender is.
 *
 * @param onRequest ends the connection; called before the chunk that tells goes on, and at most once
 */
export function guardFirstLine(onRequest: () => void): Tap {
  let said: Buffer | undefined = Buffer.alloc(0);
  return (chunk) => {
    if (said === undefined) return;
    said = Buffer.concat([said, chunk]);
    const protocol = byClient(said);
    if (protocol === undefined) return;
    said = undefined;
    if (protocol !== 'other') onRequest();
  };
}
