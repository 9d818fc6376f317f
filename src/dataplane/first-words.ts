import type { Duplex } from 'node:stream';
import { CLIENT_PREFACE, FRAME_HEADER_BYTES, FRAME_TYPE } from './http2/protocol.ts';

/** `http2`: with prior knowledge. `other`: something else, whose calls we cannot see. `nothing`: it ended without a word. */
export type Protocol = 'http2' | 'other' | 'nothing';

/** From so many bytes on the client's preface cannot be taken for a request of another protocol: `PRI ` is no method. */
const TELLING_BYTES = 4;

/**
 * Looks at what either side says first, without taking it: everything stays in the streams, unread. Whoever speaks first
 * decides: a client by its preface (RFC 9113, section 3.4), a server by its SETTINGS. Never rejects.
 *
 * @param client not read by anybody
 * @param server not read by anybody; `undefined`: there is none yet
 */
export function recognise(client: Duplex, server?: Duplex): Promise<Protocol> {
  return new Promise((resolve) => {
    const said = new Map<Duplex, Buffer>();
    for (const stream of [client, server]) if (stream !== undefined) said.set(stream, NOTHING);
    const done = (protocol: Protocol) => {
      for (const [stream, words] of said) {
        stream.off('readable', look);
        stream.off('end', look);
        stream.off('close', look);
        // In the same turn in which the last of it was read, so that the stream cannot have ended meanwhile.
        if (words.length > 0 && !stream.destroyed && !stream.readableEnded) stream.unshift(words);
      }
      resolve(protocol);
    };
    const look = () => {
      for (const [stream, words] of said) {
        const more = stream.destroyed ? null : (stream.read() as Buffer | null);
        if (more !== null) said.set(stream, Buffer.concat([words, more]));
      }
      const protocol = byClient(said.get(client) ?? NOTHING) ?? (server && byServer(said.get(server) ?? NOTHING));
      if (protocol !== undefined) done(protocol);
      else if ([...said.keys()].some(({ destroyed, readableEnded }) => destroyed || readableEnded)) done('nothing');
    };
    for (const stream of said.keys()) {
      stream.on('readable', look);
      stream.on('end', look);
      stream.on('close', look);
    }
    look();
  });
}

function byClient(said: Buffer): Protocol | undefined {
  if (said.length === 0) return undefined;
  const compared = Math.min(said.length, CLIENT_PREFACE.length);
  if (!said.subarray(0, compared).equals(CLIENT_PREFACE.subarray(0, compared))) return 'other';
  return said.length >= TELLING_BYTES ? 'http2' : undefined;
}

function byServer(said: Buffer): Protocol | undefined {
  if (said.length === 0) return undefined;
  if (said.length < FRAME_HEADER_BYTES) return said[0] === 0 ? undefined : 'other';
  const isSettings = said[3] === FRAME_TYPE.settings && said[4] === 0 && said.readUInt32BE(5) === 0;
  return isSettings && said.readUIntBE(0, 3) % 6 === 0 ? 'http2' : 'other';
}

const NOTHING = Buffer.alloc(0);
