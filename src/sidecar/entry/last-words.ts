import type { Socket } from 'node:net';
import { after } from '../../platform/clock.ts';
import { resetSocket } from '../../platform/reset-socket.ts';

/** So long may our agent take to read why it was refused, ms. */
const LINGER_MS = 1000;

/**
 * Says something to an agent that was refused, and ends the connection. What the agent still sends is read and thrown away
 * meanwhile: a socket that is closed with something unread in it is reset, and takes the words with it.
 */
export function sayLastWords(agent: Socket, words: Buffer): void {
  const cancel = after({ delayMs: LINGER_MS, run: () => resetSocket(agent), keepAlive: false });
  agent.once('close', cancel);
  agent.resume();
  agent.end(words);
}
