import type { Duplex } from 'node:stream';
import { CLIENT_PREFACE, FRAME_HEADER_BYTES, FRAME_TYPE } from './http2/protocol.ts';

/**
 * `http2`: with prior knowledge. `http1`: what any server could take for a request of HTTP/1, be it well-formed or not.
 * `connect`: such a request to become a tunnel. `tls`: a client's handshake. `other`: something else, whose calls we cannot
 * see. `nothing`: it ended without a word. `silent`: nobody has said a word within the time. `unclear`: somebody has, and
 * it may yet become any of these, but does not go on.
 */
export type Protocol = 'http2' | 'http1' | 'connect' | 'tls' | 'other' | 'nothing' | 'silent' | 'unclear';

export interface Listening {
  /** Not read by anybody. Default: there is none yet. */
  readonly server?: Duplex;
  /** How long first words are waited for, ms. Default: to the end. */
  readonly withinMs?: number;
  /** How long words that do not tell yet are waited for to go on, ms. Default 100. */
  readonly unclearMs?: number;
  /**
   * Whether a server that begins as HTTP/2 does leaves it to the client to say what is spoken: a client of HTTP/2 waits for
   * nobody, and what it says may be for us. Default false.
   */
  readonly clientDecides?: boolean;
}

/** A first word that does not tell yet is waited for so long to go on, ms; whoever sends requests does so at once. */
const UNCLEAR_MS = 100;

/** From so many bytes on the client's preface cannot be taken for a request of another protocol: `PRI ` is no method. */
const TELLING_BYTES = 4;
const CONNECT = Buffer.from('CONNECT ', 'latin1');
/** What may follow it: a name or an address. Other protocols have such a word, too, and go on with something else. */
const CONNECT_TARGET = /^[A-Za-z0-9[._-]/;
/** A TLS record of a handshake: its type, and the first octet of its version (RFC 8446, section 5.1). */
const HANDSHAKE = Buffer.of(22, 3);

/**
 * Looks at what either side says first, without taking it: everything stays in the streams, unread. Whoever speaks first
 * decides: a client by its preface (RFC 9113, section 3.4) or its request line, a server by its SETTINGS. Never rejects.
 *
 * @param client not read by anybody
 */
export function recognise(client: Duplex, listening: Listening = {}): Promise<Protocol> {
  const { server, withinMs, unclearMs = UNCLEAR_MS, clientDecides = false } = listening;
  return new Promise((resolve) => {
    const said = new Map<Duplex, Buffer>();
    for (const stream of [client, server]) if (stream !== undefined) said.set(stream, NOTHING);
    const listeners = new Map<Duplex, () => void>();
    let isOver = false;
    let patience: NodeJS.Timeout | undefined;
    const done = (protocol: Protocol) => {
      clearTimeout(patience);
      for (const [stream, words] of said) {
        stream.off('readable', listeners.get(stream) ?? look);
        stream.off('end', look);
        stream.off('close', look);
        // No stream has ended whose words were taken: see below.
        if (words.length > 0 && !stream.destroyed && !stream.readableEnded) stream.unshift(words);
      }
      resolve(protocol);
    };
    const look = () => {
      for (const [stream, words] of said) {
        // A server that has begun, and has to wait for the client.
        if (stream === server && words.length >= FRAME_HEADER_BYTES) continue;
        // Reading where there is nothing would end a stream that has no more to say, and its words could not be put back.
        const more = stream.destroyed || stream.readableLength === 0 ? null : (stream.read() as Buffer | null);
        if (more !== null) said.set(stream, Buffer.concat([words, more]));
      }
      const protocol =
        byClient(said.get(client) ?? NOTHING) ?? (server && byServer(said.get(server) ?? NOTHING, clientDecides));
      const begun = [...said.values()].some(({ length }) => length > 0);
      if (protocol !== undefined) done(protocol);
      else if (isOver || [...said.keys()].some(({ destroyed, readableEnded }) => destroyed || readableEnded)) {
        done(begun ? 'other' : 'nothing');
      } else if (begun && withinMs === undefined) patience ??= setTimeout(() => done('unclear'), unclearMs);
    };
    if (withinMs !== undefined) patience = setTimeout(() => done('silent'), withinMs);
    for (const stream of said.keys()) {
      const readable = () => {
        // Without anything to read this event says that the end has come.
        if (stream.readableLength === 0) isOver = true;
        look();
      };
      listeners.set(stream, readable);
      stream.on('readable', readable);
      stream.on('end', look);
      stream.on('close', look);
    }
    look();
  });
}

/** What a client's words so far say of its protocol; `undefined`: nothing yet. */
export function byClient(said: Buffer): Protocol | undefined {
  if (said.length === 0) return undefined;
  if (beginsAs(said, CLIENT_PREFACE)) return said.length >= TELLING_BYTES ? 'http2' : undefined;
  if (beginsAs(said, CONNECT)) {
    if (said.length <= CONNECT.length) return undefined;
    if (CONNECT_TARGET.test(said.toString('latin1', CONNECT.length))) return 'connect';
  }
  if (beginsAs(said, HANDSHAKE)) return beginsTls(said) ? 'tls' : undefined;
  return byRequestLine(said);
}

/** Whether it is the beginning of a client's handshake. */
export function beginsTls(said: Buffer): boolean {
  return said.length >= HANDSHAKE.length && beginsAs(said, HANDSHAKE);
}

/** Whether as much as there is of both is the same. */
function beginsAs(said: Buffer, expected: Buffer): boolean {
  const compared = Math.min(said.length, expected.length);
  return said.subarray(0, compared).equals(expected.subarray(0, compared));
}

/**
 * Takes for HTTP/1 whatever a lenient server might: what passes unseen must not be a request to anybody, or its sender
 * could say in it who it is.
 */
function byRequestLine(said: Buffer): Protocol | undefined {
  const text = said.toString('latin1', 0, MAX_REQUEST_LINE).replace(LEADING_BLANKS, '');
  if (text === '') return said.length < MAX_REQUEST_LINE ? undefined : 'other';
  if (USUAL_METHOD.test(text)) return 'http1';
  const end = text.search(/[\r\n]/);
  const line = end < 0 ? text : text.slice(0, end);
  if (HTTP_VERSION.test(line)) return 'http1';
  // A line that may yet become one is waited for; a word that cannot be a method, or what cannot be its target, is none.
  const mayBecome = end < 0 && text.length < MAX_REQUEST_LINE && MAY_BECOME.test(line);
  return mayBecome ? undefined : 'other';
}

function byServer(said: Buffer, clientDecides: boolean): Protocol | undefined {
  if (said.length === 0) return undefined;
  if (said.length < FRAME_HEADER_BYTES) return said[0] === 0 ? undefined : 'other';
  const isSettings = said[3] === FRAME_TYPE.settings && said[4] === 0 && said.readUInt32BE(5) === 0;
  if (!isSettings || said.readUIntBE(0, 3) % 6 !== 0) return 'other';
  return clientDecides ? undefined : 'http2';
}

const NOTHING = Buffer.alloc(0);
/** So many bytes are waited for to tell a request line. */
const MAX_REQUEST_LINE = 8192;
/** What lenient servers read over. */
const LEADING_BLANKS = /^[\r\n\t ]+/;
const USUAL_METHOD = /^(?:GET|HEAD|POST|PUT|DELETE|OPTIONS|PATCH|TRACE)[ \t]/;
const HTTP_VERSION = /^[^ \t]+[ \t].*HTTP\/\d/i;
/** A method, or its beginning, and the beginning of a target: a path, an asterisk, an URL; of CONNECT, whatever it is. */
const MAY_BECOME = /^[!#$%&'*+.^_`|~0-9A-Z-]+(?:$|[ \t]+(?:$|[/*]|h$|ht$|htt$|https?$|https?:))|^CONNECT[ \t]/i;
