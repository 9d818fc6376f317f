import { open } from 'node:fs/promises';
import { endianness } from 'node:os';
import { parseLocalAddress } from '../local-address.ts';
import { parseListeningSockets } from './listening-sockets.ts';

const TABLES = ['/proc/net/tcp', '/proc/net/tcp6'] as const;
/** The kernel lists listening sockets first; what stands behind so much are open connections. */
const MAX_TABLE_BYTES = 8 * 1024 * 1024;

/**
 * Addresses at which somebody listens on the agent's port that is not loopback: in this network namespace, which is the
 * agent's, too, when they share a pod or a machine. Whoever listens there, it is not for us to say that it is another.
 *
 * @param address where we call the agent; a unix socket has no port to look for.
 * @returns `undefined` where the system has no such tables.
 */
export async function findWaysAround(address: string): Promise<readonly string[] | undefined> {
  const agent = parseLocalAddress(address);
  if ('path' in agent) return [];
  const tables = await Promise.all(TABLES.map(readTable));
  if (tables.every((table) => table === undefined)) return undefined;
  const littleEndian = endianness() === 'LE';
  return tables
    .flatMap((table) => parseListeningSockets(table ?? '', { littleEndian }))
    .filter(({ port, loopback }) => port === agent.port && !loopback)
    .map((socket) => socket.address);
}

/** A table that is not there (IPv6 switched off, no Linux) is `undefined`. */
async function readTable(path: string): Promise<string | undefined> {
  let file;
  try {
    file = await open(path);
  } catch {
    return undefined;
  }
  try {
    const chunks: Buffer[] = [];
    let length = 0;
    for await (const chunk of file.createReadStream() as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      length += chunk.length;
      if (length >= MAX_TABLE_BYTES) break;
    }
    return Buffer.concat(chunks).toString('latin1');
  } finally {
    await file.close();
  }
}
