import assert from 'node:assert/strict';
import {
  performServerHandshake,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import { Duplex } from 'node:stream';
import { conversingGate } from './conversation.ts';
import type { Dice } from './dice.ts';
import type { Line } from './table-encoder.ts';
import { bodyOctet, TalkingEnd } from './talking-end.ts';

/** What Node's own HTTP/2 makes of a call that has come through a gate. */
interface Understood {
  readonly head: string[];
  trailers: string[];
  bytes: number;
}

interface Asked {
  readonly head: readonly Line[];
  readonly trailers: readonly Line[] | undefined;
  readonly bytes: number;
}

const NAMES = [
  'x-a',
  'x-b',
  'cookie',
  'accept',
  'x-ait-peer-agent',
  'x_ait_peer_agent-bin',
  'x-forwarded-user',
  'user-agent',
];
const RESERVED = new Set(['x-ait-peer-agent', 'x_ait_peer_agent-bin', 'x-forwarded-user', 'traceparent']);

function lines(dice: Dice): Line[] {
  const octet = (): string => String.fromCharCode(dice.chance(0.95) ? 33 + dice.below(94) : 0xa1 + dice.below(90));
  const value = (): string => Array.from({ length: dice.below(dice.chance(0.05) ? 5000 : 30) }, octet).join('');
  return Array.from({ length: dice.below(8) }, (): Line => [dice.pick(NAMES), value()]);
}

function said(pairs: readonly Line[]): string[] {
  return pairs.filter(([name]) => !RESERVED.has(name)).map((pair) => pair.join(': '));
}

/** Every line that came but the one that a gate adds. */
function all(raw: readonly string[]): string[] {
  const names = raw.filter((_text, index) => index % 2 === 0);
  return names
    .map((name, index) => `${name}: ${raw[2 * index + 1]}`)
    .filter((line) => !line.startsWith('traceparent: '));
}

/**
 * Sends calls through a gate to a session of `node:http2`, and asserts that it understands what was sent: the same lines,
 * bytes and trailers, but for those that only sidecars may set. The answers have to come back as Node sent them.
 *
 * @returns how many frames went in
 */
export async function compareWithNode(dice: Dice, calls: number): Promise<number> {
  const bare = conversingGate();
  const client = new TalkingEnd('client', dice);
  const understood = new Map<number, Understood>();
  const wire = new Duplex({
    read: () => undefined,
    write: (chunk: Buffer, _encoding, done) => {
      bare.from('server', chunk);
      pump();
      done();
    },
  });
  const session = performServerHandshake(wire);
  const broken = new Promise<never>((_resolve, reject) => session.once('error', reject));
  listen(session, understood);

  function pump(): void {
    client.receive(bare.take('client'));
    const { toServer } = bare.gate.core;
    for (const stream of client.streams.values()) client.grant(stream, 1_000_000 - stream.receiveWindow);
    client.grant(undefined, 1_000_000 - client.receiveWindow);
    const bytes = client.takeBytes();
    for (let at = 0; at < bytes.length;) {
      const end = at + 1 + dice.below(30_000);
      bare.from('client', bytes.subarray(at, end));
      at = end;
    }
    for (const piece of toServer.take()) wire.push(piece);
    assert.equal(bare.gate.over, false, bare.policy.violations.at(-1)?.detail ?? 'the gate has ended');
  }

  for (let call = 0; call < calls; call += 1) {
    const asked = await oneCall(client, 2 * call + 1, { dice, pump, broken });
    const found = understood.get(2 * call + 1);
    assert.deepEqual(found?.head, said(asked.head));
    assert.deepEqual(found?.trailers, asked.trailers === undefined ? [] : said(asked.trailers));
    assert.equal(found?.bytes, asked.bytes);
    understood.clear();
  }
  session.destroy();
  wire.destroy();
  return client.framesSent;
}

function listen(session: ServerHttp2Session, understood: Map<number, Understood>): void {
  session.on('stream', (stream: ServerHttp2Stream, _headers: IncomingHttpHeaders, _flags: number, raw: string[]) => {
    const id = stream.id ?? 0;
    const call: Understood = { head: all(raw), trailers: [], bytes: 0 };
    understood.set(id, call);
    stream.on('trailers', (_trailers: IncomingHttpHeaders, _trailerFlags: number, rawTrailers: string[]) => {
      call.trailers = all(rawTrailers);
    });
    stream.on('data', (chunk: Buffer) => {
      chunk.forEach((octet, at) => assert.equal(octet, bodyOctet(id, call.bytes + at)));
      call.bytes += chunk.length;
    });
    stream.once('end', () => {
      stream.respond({ ':status': 200, 'x-bytes': String(call.bytes) }, { waitForTrailers: true });
      stream.once('wantTrailers', () => stream.sendTrailers({ 'x-last': 'word' }));
      stream.end();
    });
  });
}

interface CallTools {
  readonly dice: Dice;
  readonly pump: () => void;
  readonly broken: Promise<never>;
}

async function oneCall(client: TalkingEnd, id: number, { dice, pump, broken }: CallTools): Promise<Asked> {
  const stream = client.stream(id);
  const over = new Promise<void>((resolve) => {
    client.onOver = (ended) => {
      if (ended === stream) resolve();
    };
  });
  const head: Line[] = [
    [':method', 'POST'],
    [':scheme', 'http'],
    [':path', '/p'],
    [':authority', 'callee'],
    ...lines(dice),
  ];
  client.heads(stream, head, false);
  const pieces = dice.below(6);
  for (let piece = 0; piece < pieces; piece += 1) client.data(stream, dice.below(9000), false);
  const trailers = dice.chance(0.5) ? lines(dice) : undefined;
  if (trailers === undefined) client.data(stream, 0, true);
  else client.heads(stream, trailers, true);
  pump();
  await Promise.race([over, broken]);
  assert.equal(stream.reset, false, `stream ${id} was reset`);
  const heads = stream.gotHeads.map((got) => got.filter(([name]) => name !== 'date').map((line) => line.join(': ')));
  assert.deepEqual(heads, [[':status: 200', `x-bytes: ${stream.sentBytes}`], ['x-last: word']]);
  return { head, trailers, bytes: stream.sentBytes };
}
