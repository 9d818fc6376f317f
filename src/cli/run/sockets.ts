import { join } from 'node:path';
import { fileName, MAX_SOCKET_PATH, shortFolder } from '../mesh-runner/mesh-layout.ts';

export interface SocketFolder {
  readonly folder: string;
  /** Whether it is not in the state directory, because paths there would be too long for sockets. */
  readonly moved: boolean;
}

/** Where the sockets of one agent lie, so that all of their paths are short enough if any can be. */
export function socketFolder(stateDir: string, peers: readonly string[]): SocketFolder {
  const usual = join(stateDir, 'run');
  const paths = [agentSocket(usual), ...peers.map((peer) => peerSocket(usual, peer))];
  const fits = paths.every((path) => Buffer.byteLength(path) <= MAX_SOCKET_PATH);
  return fits ? { folder: usual, moved: false } : { folder: shortFolder(stateDir), moved: true };
}

/** Where the agent calls a peer. */
export function peerSocket(folder: string, peer: string): string {
  return join(folder, `to-${fileName(peer)}.sock`);
}

/** Where the agent listens. */
export function agentSocket(folder: string): string {
  return join(folder, 'agent.sock');
}
