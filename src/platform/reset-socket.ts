import type { Socket } from 'node:net';

/**
 * Ends a connection at once. TCP is reset, so that the other end can read no more of what was on its way; a unix socket
 * knows no reset and is closed.
 */
export function resetSocket(socket: Socket): void {
  const isTcp = 'port' in socket.address();
  if (isTcp) socket.resetAndDestroy();
  else socket.destroy();
}
