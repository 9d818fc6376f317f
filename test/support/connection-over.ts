import type { Socket } from 'node:net';

/**
 * Resolves when the other end is gone: a reset, or the end of what it sends. A unix socket knows no reset, so that a
 * half-open end of it sees no more than the latter.
 *
 * @throws Error when the connection is still open after the deadline.
 */
export function connectionOver(socket: Socket, deadlineMs = 10_000): Promise<void> {
  if (socket.closed || socket.readableEnded) return Promise.resolve();
  // An end behind bytes that nobody reads would never be seen.
  if (socket.listenerCount('data') === 0) socket.resume();
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new Error(`the connection is still open after ${deadlineMs} ms`)),
      deadlineMs,
    );
    const over = () => {
      clearTimeout(timer);
      resolve();
    };
    socket.once('end', over);
    socket.once('close', over);
    socket.on('error', over);
  });
}
