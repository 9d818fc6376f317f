import assert from 'node:assert/strict';
import { HpackDecoder } from '../../src/dataplane/hpack/decoder.ts';
import { DEFAULT_WINDOW, FLAG, FRAME_TYPE, SETTING } from '../../src/dataplane/http2/protocol.ts';
import type { Side } from './bare-gate.ts';
import type { Dice } from './dice.ts';
import { frames, inWords, type ReadFrame } from './http2-bytes.ts';
import { TableEncoder, type Line } from './table-encoder.ts';

/** One stream as one end sees it. */
export interface TalkStream {
  readonly id: number;
  readonly sentHeads: (readonly Line[])[];
  readonly gotHeads: (readonly Line[])[];
  sentBytes: number;
  gotBytes: number;
  sentEnd: boolean;
  gotEnd: boolean;
  /** By either side. */
  reset: boolean;
  sendWindow: number;
  receiveWindow: number;
}

/** Octet of a body by its place: what arrives can be checked without having been kept. */
export function bodyOctet(id: number, place: number): number {
  return (id * 7 + place * 13 + (place >>> 8)) & 0xff;
}

const LARGEST_FRAME = 16_384;
const WINDOW = 2 ** 31 - 1;

/**
 * One end of an HTTP/2 connection that keeps to the protocol, and insists that what it gets does: frames in place, windows
 * never exceeded, bodies in order, header blocks that its table can read.
 */
export class TalkingEnd {
  readonly side: Side;
  readonly streams = new Map<number, TalkStream>();
  /** Streams that are over: only their ids. */
  readonly past = new Set<number>();
  sendWindow = DEFAULT_WINDOW;
  receiveWindow = DEFAULT_WINDOW;
  /** The last stream that the other side said it would look at. */
  goawayLast = Infinity;
  framesSent = 0;
  readonly #dice: Dice;
  readonly #encoder: TableEncoder;
  readonly #decoder = new HpackDecoder({ maxListBytes: 1_000_000 });
  #out: Buffer[] = [];
  #theirInitial = DEFAULT_WINDOW;
  #ourInitial = DEFAULT_WINDOW;
  readonly #unacknowledged: (number | undefined)[] = [];
  #pingsOut = 0;
  #block: { id: number; end: boolean; parts: Buffer[] } | undefined;
  /** A stream has got a header block. */
  onHeads: (stream: TalkStream, lines: readonly Line[]) => void = () => undefined;
  /** A stream is over, in order if it was not reset. */
  onOver: (stream: TalkStream) => void = () => undefined;

  constructor(side: Side, dice: Dice) {
    this.side = side;
    this.#dice = dice;
    this.#encoder = new TableEncoder(dice);
    if (side === 'client') this.#out.push(frames.preface);
    this.settings();
  }

  /** What is to be sent since the last time. */
  takeBytes(): Buffer {
    const bytes = Buffer.concat(this.#out);
    this.#out = [];
    return bytes;
  }

  send(bytes: Buffer): void {
    this.framesSent += 1;
    this.#out.push(bytes);
  }

  settings(initialWindow?: number): void {
    const entries: [number, number][] = [];
    if (initialWindow !== undefined) entries.push([SETTING.initialWindowSize, initialWindow]);
    if (this.#dice.chance(0.3)) entries.push([SETTING.headerTableSize, this.#dice.below(5000)]);
    if (this.#dice.chance(0.3)) entries.push([0xff00, this.#dice.below(5000)]);
    this.#unacknowledged.push(initialWindow);
    this.send(frames.settings(...entries));
  }

  ping(): void {
    this.#pingsOut += 1;
    this.send(frames.ping());
  }

  stream(id: number): TalkStream {
    let stream = this.streams.get(id);
    if (stream === undefined) {
      stream = {
        id,
        sentHeads: [],
        gotHeads: [],
        sentBytes: 0,
        gotBytes: 0,
        sentEnd: false,
        gotEnd: false,
        reset: false,
        sendWindow: this.#theirInitial,
        receiveWindow: this.#ourInitial,
      };
      this.streams.set(id, stream);
    }
    return stream;
  }

  heads(stream: TalkStream, lines: readonly Line[], end: boolean): void {
    const bytes = this.#encoder.encode(lines);
    stream.sentHeads.push(lines);
    stream.sentEnd ||= end;
    const first = this.#dice.chance(0.1) ? this.#dice.below(bytes.length) : Math.min(bytes.length, LARGEST_FRAME);
    this.send(frames.headers(stream.id, bytes.subarray(0, first), { end, endHeaders: first === bytes.length }));
    for (let at = first; at < bytes.length; at += LARGEST_FRAME) {
      const next = bytes.subarray(at, at + LARGEST_FRAME);
      this.send(frames.continuation(stream.id, next, { endHeaders: at + next.length === bytes.length }));
    }
    this.#closeIfOver(stream);
  }

  /** As many bytes as wanted, or as the windows allow; padded now and then. */
  data(stream: TalkStream, wanted: number, end: boolean): void {
    const room = Math.min(stream.sendWindow, this.sendWindow);
    const padding = room > 300 && this.#dice.chance(0.15) ? this.#dice.below(256) : -1;
    const length = Math.max(0, Math.min(wanted, room - (padding + 1), LARGEST_FRAME - 256));
    const isEnd = end && length === wanted;
    if (length === 0 && !isEnd && padding < 0) return;
    const body = Buffer.allocUnsafe(length);
    for (let at = 0; at < length; at += 1) body[at] = bodyOctet(stream.id, stream.sentBytes + at);
    const used = length + padding + 1;
    stream.sentBytes += length;
    stream.sendWindow -= used;
    this.sendWindow -= used;
    stream.sentEnd ||= isEnd;
    const options = { end: isEnd };
    this.send(
      padding < 0 ? frames.data(stream.id, body, options) : frames.paddedData(stream.id, body, padding, options),
    );
    this.#closeIfOver(stream);
  }

  reset(stream: TalkStream, code?: number): void {
    this.send(frames.reset(stream.id, code));
    this.#wasReset(stream);
  }

  /** @param stream `undefined`: for the connection */
  grant(stream: TalkStream | undefined, octets: number): void {
    const to = stream ?? this;
    if (octets < 1 || to.receiveWindow + octets > WINDOW) return;
    to.receiveWindow += octets;
    this.send(frames.windowUpdate(stream?.id ?? 0, octets));
  }

  /** @throws AssertionError for what an HTTP/2 peer would not have sent */
  receive(received: readonly ReadFrame[]): void {
    for (const frame of received) this.#receive(frame);
  }

  #receive(frame: ReadFrame): void {
    const { type, flags, stream: id, payload } = frame;
    const end = (flags & FLAG.endStream) !== 0;
    if (this.#block !== undefined) assert.equal(type, FRAME_TYPE.continuation, 'a block was interrupted');
    switch (type) {
      case FRAME_TYPE.data:
        this.#gotData(id, payload, end);
        break;
      case FRAME_TYPE.headers:
        assert.equal(flags & ~(FLAG.endStream | FLAG.endHeaders), 0, inWords(frame));
        this.#gotBlock({ id, end, parts: [payload] }, (flags & FLAG.endHeaders) !== 0);
        break;
      case FRAME_TYPE.continuation:
        assert.ok(this.#block !== undefined && this.#block.id === id, inWords(frame));
        this.#block.parts.push(payload);
        this.#gotBlock(this.#block, (flags & FLAG.endHeaders) !== 0);
        break;
      case FRAME_TYPE.rstStream: {
        this.#mustKnow(id, frame);
        const stream = this.streams.get(id);
        if (stream !== undefined) this.#wasReset(stream);
        break;
      }
      case FRAME_TYPE.settings:
        if ((flags & FLAG.ack) !== 0) this.#acknowledged();
        else this.#gotSettings(payload);
        break;
      case FRAME_TYPE.ping:
        if (!end) this.send(frames.ping({ ack: true }));
        else assert.ok((this.#pingsOut -= 1) >= 0, 'an answer to no PING');
        break;
      case FRAME_TYPE.goaway:
        assert.ok(payload.readUInt32BE(0) <= this.goawayLast, 'GOAWAY names a higher stream than before');
        this.goawayLast = payload.readUInt32BE(0);
        break;
      case FRAME_TYPE.windowUpdate: {
        const octets = payload.readUInt32BE(0);
        assert.ok(octets > 0 && octets <= WINDOW, inWords(frame));
        const to = id === 0 ? this : this.streams.get(id);
        if (id !== 0) this.#mustKnow(id, frame);
        if (to !== undefined) assert.ok((to.sendWindow += octets) <= WINDOW, 'a window overflows');
        break;
      }
      default:
        assert.fail(inWords(frame));
    }
  }

  #gotData(id: number, payload: Buffer, end: boolean): void {
    this.receiveWindow -= payload.length;
    assert.ok(this.receiveWindow >= 0, `the window of the connection is exceeded, ${this.receiveWindow}`);
    const stream = this.streams.get(id);
    if (stream === undefined) {
      assert.ok(this.past.has(id), `DATA on idle stream ${id}`);
      return;
    }
    assert.ok(!stream.gotEnd && stream.gotHeads.length > 0, `DATA on stream ${id} out of place`);
    stream.receiveWindow -= payload.length;
    assert.ok(stream.receiveWindow >= 0, `the window of stream ${id} is exceeded, ${stream.receiveWindow}`);
    for (let at = 0; at < payload.length; at += 1) {
      if (payload[at] !== bodyOctet(id, stream.gotBytes + at))
        assert.fail(`stream ${id}: octet ${stream.gotBytes + at}`);
    }
    stream.gotBytes += payload.length;
    stream.gotEnd = end;
    this.#closeIfOver(stream);
  }

  #gotBlock(block: { id: number; end: boolean; parts: Buffer[] }, isWhole: boolean): void {
    this.#block = isWhole ? undefined : block;
    if (!isWhole) return;
    const { id, end, parts } = block;
    const decoded = this.#decoder.decode(Buffer.concat(parts));
    if (this.past.has(id)) return;
    if (this.side === 'client') assert.ok(this.streams.has(id), `HEADERS on idle stream ${id}`);
    const stream = this.stream(id);
    assert.equal(stream.gotEnd, false, `HEADERS on stream ${id} behind its end`);
    const lines = decoded.fields.map(({ name, value }): Line => [name, value]);
    stream.gotHeads.push(lines);
    stream.gotEnd = end;
    this.onHeads(stream, lines);
    this.#closeIfOver(stream);
  }

  #gotSettings(payload: Buffer): void {
    for (let at = 0; at < payload.length; at += 6) {
      if (payload.readUInt16BE(at) !== SETTING.initialWindowSize) continue;
      const initial = payload.readUInt32BE(at + 2);
      for (const stream of this.streams.values()) stream.sendWindow += initial - this.#theirInitial;
      this.#theirInitial = initial;
    }
    this.send(frames.settingsAck());
  }

  #acknowledged(): void {
    assert.ok(this.#unacknowledged.length > 0, 'an acknowledgement of no SETTINGS');
    const initial = this.#unacknowledged.shift();
    if (initial === undefined) return;
    for (const stream of this.streams.values()) stream.receiveWindow += initial - this.#ourInitial;
    this.#ourInitial = initial;
  }

  #wasReset(stream: TalkStream): void {
    stream.reset = true;
    this.#over(stream);
  }

  #closeIfOver(stream: TalkStream): void {
    if (stream.sentEnd && stream.gotEnd) this.#over(stream);
  }

  #over(stream: TalkStream): void {
    if (!this.streams.delete(stream.id)) return;
    this.past.add(stream.id);
    this.onOver(stream);
  }

  #mustKnow(id: number, frame: ReadFrame): void {
    assert.ok(this.streams.has(id) || this.past.has(id), `on an idle stream: ${inWords(frame)}`);
  }
}
