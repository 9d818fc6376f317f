import assert from 'node:assert/strict';
import { ERROR_CODE } from '../../src/dataplane/http2/protocol.ts';
import { rejection } from '../../src/domain/rejection.ts';
import { BareGate, type Side } from './bare-gate.ts';
import type { Dice } from './dice.ts';
import { frames } from './http2-bytes.ts';
import type { Line } from './table-encoder.ts';
import { TalkingEnd, type TalkStream } from './talking-end.ts';

const REFUSED = '/refused';
const SIDES: readonly Side[] = ['client', 'server'];

/** A chunk on its way into a gate, and when. */
export interface Delivery {
  readonly from: Side;
  readonly chunk: Buffer;
  readonly ms: number;
}

/** Names that may come with any message; some of them no gate passes on. */
const NAMES = ['x-a', 'x-b', 'x-long-name-of-a-field', 'x-ait-peer-agent', 'x_ait_peer_agent', 'cookie', 'x-bin-bin'];

export interface ConversationOptions {
  readonly dice: Dice;
  /** Told of each chunk. */
  readonly onDelivery?: (delivery: Delivery) => void;
}

/** A gate that refuses the calls that a {@link Conversation} means to be refused. */
export function conversingGate(): BareGate {
  const bare = new BareGate();
  bare.policy.decision = ({ path }) =>
    path === REFUSED
      ? { permitted: false, label: 'other', rejection: rejection('GRANT_MISSING', 'not that one') }
      : { permitted: true, label: 'any' };
  return bare;
}

/**
 * Two ends that keep to the protocol and talk through a gate, by chance: what they do when, how their bytes are cut into
 * chunks, and how long those are on their way. Each end insists that what it gets is sound; {@link finish} compares what
 * was sent with what came.
 */
export class Conversation {
  readonly bare: BareGate;
  readonly ends: Readonly<Record<Side, TalkingEnd>>;
  readonly #dice: Dice;
  readonly #onDelivery: (delivery: Delivery) => void;
  readonly #toGate: Record<Side, Buffer> = { client: Buffer.alloc(0), server: Buffer.alloc(0) };
  /** Streams that are over at one end, until they are at the other. */
  readonly #halves = new Map<number, TalkStream>();
  readonly #refused = new Set<number>();
  #nextStream = 1;
  #serial = 0;
  compared = 0;

  constructor({ dice, onDelivery = () => undefined }: ConversationOptions) {
    this.#dice = dice;
    this.#onDelivery = onDelivery;
    this.bare = conversingGate();
    this.ends = { client: new TalkingEnd('client', dice), server: new TalkingEnd('server', dice) };
    for (const side of SIDES) this.ends[side].onOver = (stream) => this.#ended(stream);
    this.ends.server.onHeads = (_stream, lines) => {
      assert.ok(!lines.some(([name, value]) => name === ':path' && value === REFUSED), 'a refused call came through');
    };
  }

  get frames(): number {
    return this.ends.client.framesSent + this.ends.server.framesSent;
  }

  /** One thing happens. */
  step(): void {
    const dice = this.#dice;
    // Slow enough for every budget of frames that are a nuisance in large numbers.
    this.bare.clock.ms += 200;
    if (dice.chance(0.002)) this.#withdraw(`/p${dice.below(3)}`);
    const side = dice.pick(SIDES);
    switch (dice.below(4)) {
      case 0:
        this.#deliver(side, 1 + dice.below(dice.chance(0.5) ? 20 : 40_000));
        break;
      case 1:
        this.#receive(side);
        break;
      case 2:
        if (side === 'client') this.#ask();
        this.#say(side);
        break;
      default:
        this.#say(side);
    }
  }

  /** Lets everything arrive and every stream come to its end, then compares. @throws AssertionError */
  finish(): void {
    this.settle();
    for (let round = 0; round < 200 && this.#open() > 0; round += 1) {
      for (const side of SIDES) {
        const end = this.ends[side];
        this.bare.clock.ms += 10_000;
        end.grant(undefined, 1_000_000 - end.receiveWindow);
        for (const stream of end.streams.values()) {
          end.grant(stream, 1_000_000 - stream.receiveWindow);
          if (side === 'server' && stream.sentHeads.length === 0) end.heads(stream, [[':status', '200']], false);
          if (!stream.sentEnd) end.data(stream, 10, true);
        }
      }
      this.settle();
    }
    assert.equal(this.#open(), 0, 'streams that do not end');
    assert.equal(this.bare.gate.openCalls, 0);
    this.#assertConserved();
    for (const { reset } of this.#halves.values()) assert.ok(reset, 'a stream that ended at one end only');
    const told = this.bare.policy.ended_.map(({ call }) => call.streamId);
    assert.equal(new Set(told).size, told.length, 'the end of a call was told twice');
  }

  /** Everything that is on its way arrives. */
  settle(): void {
    for (let quiet = false; !quiet;) {
      this.bare.clock.ms += 1000;
      for (const side of SIDES) this.#deliver(side, Infinity);
      quiet = SIDES.map((side) => this.#receive(side)).every((count) => count === 0);
    }
  }

  #open(): number {
    return this.ends.client.streams.size + this.ends.server.streams.size;
  }

  /** Once nothing is on its way, what a sender may send is what its receiver expects: nothing was lost, nothing invented. */
  #assertConserved(): void {
    const { client, server } = this.ends;
    assert.equal(client.sendWindow, server.receiveWindow, 'octets of requests that nobody gave back');
    assert.equal(server.sendWindow, client.receiveWindow, 'octets of answers that nobody gave back');
  }

  #deliver(from: Side, most: number): void {
    const sent = this.ends[from].takeBytes();
    const waiting = Buffer.concat([this.#toGate[from], sent]);
    const chunk = waiting.subarray(0, most);
    this.#toGate[from] = waiting.subarray(chunk.length);
    if (chunk.length > 0) {
      this.#onDelivery({ from, chunk, ms: this.bare.clock.ms });
      this.bare.from(from, chunk);
    }
    assert.equal(this.bare.gate.over, false, this.bare.policy.violations.at(-1)?.detail ?? 'the gate has ended');
  }

  #receive(side: Side): number {
    const received = this.bare.take(side);
    this.ends[side].receive(received);
    return received.length;
  }

  #lines(): Line[] {
    const dice = this.#dice;
    this.#serial += 1;
    const lines: Line[] = [['x-serial', String(this.#serial)]];
    while (dice.chance(0.6))
      lines.push([dice.pick(NAMES), `v${'x'.repeat(dice.below(dice.chance(0.02) ? 9000 : 40))}`]);
    return lines;
  }

  #ask(): void {
    const dice = this.#dice;
    const { client } = this.ends;
    if (client.streams.size > 30 || this.#nextStream > client.goawayLast) return;
    const stream = client.stream(this.#nextStream);
    this.#nextStream += dice.chance(0.05) ? 4 : 2;
    const isRefused = dice.chance(0.2);
    if (isRefused) this.#refused.add(stream.id);
    const isGrpc = dice.chance(0.5);
    const head: Line[] = [
      [':method', 'POST'],
      [':scheme', 'http'],
      [':path', isRefused ? REFUSED : `/p${dice.below(3)}`],
      [':authority', 'callee'],
      ...(isGrpc
        ? ([
            ['content-type', 'application/grpc'],
            ['te', 'trailers'],
          ] as const)
        : []),
    ];
    client.heads(stream, [...head, ...this.#lines()], dice.chance(0.3));
  }

  /** A side does something that is allowed at this time. */
  #say(side: Side): void {
    const dice = this.#dice;
    const end = this.ends[side];
    const open = [...end.streams.values()];
    const stream = open.length === 0 ? undefined : dice.pick(open);
    const what = dice.below(100);
    if (what < 3) end.ping();
    else if (what < 5) end.settings(dice.chance(0.5) ? dice.below(200_000) : undefined);
    else if (what < 7)
      end.send(dice.pick([frames.priority(1 + 2 * dice.below(9)), Buffer.from('0000032a0000000000aabbcc', 'hex')]));
    else if (what < 20) end.grant(undefined, dice.below(40_000));
    else if (stream === undefined) return;
    else if (what < 30) end.grant(stream, dice.below(40_000));
    else if (what < 33)
      end.reset(stream, dice.pick([ERROR_CODE.CANCEL, ERROR_CODE.NO_ERROR, ERROR_CODE.INTERNAL_ERROR]));
    else if (stream.sentEnd) return;
    else if (side === 'server' && stream.sentHeads.every(([line]) => line?.[1] !== '200')) {
      const status = dice.chance(0.2) ? '103' : '200';
      end.heads(stream, [[':status', status], ...this.#lines()], status === '200' && dice.chance(0.2));
    } else if (what < 45) end.heads(stream, this.#lines(), true);
    else end.data(stream, dice.below(dice.chance(0.2) ? 16_000 : 200), dice.chance(0.2));
  }

  /** For a moment calls to one path are permitted no more: those that are open are cut. */
  #withdraw(path: string): void {
    const { policy, gate } = this.bare;
    const { decision } = policy;
    policy.decision = (request) =>
      request.path === path
        ? { permitted: false, label: 'any', rejection: rejection('GRANT_MISSING', 'withdrawn') }
        : decision(request);
    gate.reconsider();
    policy.decision = decision;
  }

  #ended(stream: TalkStream): void {
    const { id } = stream;
    if (this.#refused.delete(id)) {
      // Unless the caller gave it up before it heard.
      if (stream.gotHeads.length > 0) assert.ok(/200|403/.test(String(stream.gotHeads[0]?.[0]?.[1])), `stream ${id}`);
      return;
    }
    const otherHalf = this.#halves.get(id);
    if (otherHalf === undefined) {
      this.#halves.set(id, stream);
      return;
    }
    this.#halves.delete(id);
    this.#compare(stream, otherHalf);
  }

  /** What one end got is what the other sent, or the beginning of it where the stream was reset. */
  #compare(one: TalkStream, two: TalkStream): void {
    const isCut = [one, two].some(({ gotHeads }) => !gotHeads.every(isAnothers));
    const isWhole = !one.reset && !two.reset && !isCut;
    for (const [from, to] of [
      [one, two],
      [two, one],
    ] as const) {
      const sent = from.sentHeads.map(passedOn);
      const got = to.gotHeads.filter(isAnothers).map(passedOn);
      assert.deepEqual(got, isWhole ? sent : sent.slice(0, got.length), `the headers of stream ${from.id}`);
      if (isWhole) assert.equal(to.gotBytes, from.sentBytes, `the bytes of stream ${from.id}`);
      else assert.ok(to.gotBytes <= from.sentBytes);
    }
    this.compared += 1;
  }
}

/** Whether a gate did not say it itself, to end a call. */
function isAnothers(lines: readonly Line[]): boolean {
  return !lines.some(([name]) => name === 'x-ait-refused');
}

/** The lines that a gate does not change: without those that it removes, and those that it adds. */
function passedOn(lines: readonly Line[]): string[] {
  return lines
    .filter(([name]) => name !== 'traceparent' && !name.replaceAll('_', '-').startsWith('x-ait-'))
    .map((line) => line.join(': '));
}
