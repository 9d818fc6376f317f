import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { rejection } from '../../../../src/domain/rejection.ts';
import { systemClock } from '../../../../src/platform/clock.ts';
import { CallRefused } from '../../../../src/sidecar/inference/call-refused.ts';
import { UpstreamConnection } from '../../../../src/sidecar/inference/upstream-connection.ts';

const HEAD = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n';
const CHANGED = rejection('SYSTEM_PROMPT_DRIFT', 'it differs');

/** The answer in one packet: Node has read all of it before the first chunk is handed on. */
function answerOf(texts: readonly string[], more = ''): string {
  const chunks = texts.map((text) => `${text.length.toString(16)}\r\n${text}\r\n`);
  return `${HEAD}${more}\r\n${chunks.join('')}0\r\n\r\n`;
}

/** A connection to a server that says this to each request. */
async function connected(t: TestContext, say: (socket: Socket) => void) {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', () => say(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  t.after(() => {
    socket.destroy();
    server.close();
  });
  await once(socket, 'connect');
  const connection = new UpstreamConnection({
    socket,
    authority: 'localhost',
    clock: systemClock,
    timeouts: { firstByteMs: 10_000, idleMs: 10_000 },
    onGone: () => undefined,
  });
  return { connection, socket };
}

/** Sends one request over it. `over` resolves when the connection can take the next. */
async function ask(connection: UpstreamConnection) {
  const aborting = new AbortController();
  const { signal } = aborting;
  const request = { method: 'GET', path: '/', headers: {}, signal, beforeWrite: () => undefined } as const;
  const whenOver = new EventEmitter();
  const over = once(whenOver, 'over');
  const answer = await connection.send(request, () => whenOver.emit('over'));
  return { answer, aborting, over };
}

/** A reader that is busy with its first chunk until it is told to go on. */
function busyReader() {
  const taken: string[] = [];
  const told = new EventEmitter();
  const first = once(told, 'first');
  const goOn = once(told, 'on').then(() => undefined);
  const take = (chunk: Buffer): Promise<void> => {
    taken.push(chunk.toString());
    told.emit('first');
    return goOn;
  };
  return { taken, first, take, goOn: () => told.emit('on') };
}

/** Long enough for whatever Node still has to hand out: it does that in the steps that come next. */
async function nextSteps(): Promise<void> {
  for (let step = 0; step < 5; step += 1) await new Promise((resolve) => setImmediate(resolve));
}

const isDrift = (error: unknown): boolean => error instanceof CallRefused && error.rejection === CHANGED;

test('chunks are handed on one at a time and in order, and the connection takes the next request', async (t) => {
  const { connection } = await connected(t, (socket) => socket.write(answerOf(['a', 'b', 'c'])));
  for (let round = 0; round < 2; round += 1) {
    const { answer, over } = await ask(connection);
    const story: string[] = [];
    await answer.read(async (chunk) => {
      story.push(`${chunk.toString()} begins`);
      await nextSteps();
      story.push(`${chunk.toString()} ends`);
    });
    assert.deepEqual(story, ['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends']);
    await over;
    assert.ok(connection.open);
  }
});

test('nothing is handed on after a chunk that was refused, though it came in the same packet', async (t) => {
  const { connection, socket } = await connected(t, (server) => server.write(answerOf(['a', 'bad', 'c'])));
  const { answer, over } = await ask(connection);
  const taken: string[] = [];
  const refused = new Error('bad');
  const reading = answer.read((chunk) => {
    taken.push(chunk.toString());
    if (chunk.toString() === 'bad') throw refused;
    return undefined;
  });
  await assert.rejects(reading, refused);
  await over;
  await nextSteps();
  assert.deepEqual(taken, ['a', 'bad']);
  assert.ok(socket.destroyed, 'the rest of the answer is not waited for');
});

test('nothing is handed on after the call was ended, though Node holds it already', async (t) => {
  const { connection } = await connected(t, (socket) => socket.write(answerOf(['a', 'b'])));
  const { answer, aborting } = await ask(connection);
  const reader = busyReader();
  const reading = answer.read(reader.take);
  await reader.first;
  aborting.abort(new CallRefused(CHANGED));
  await assert.rejects(reading, isDrift, 'at once: that the agent does not read puts nothing off');
  reader.goOn();
  await nextSteps();
  assert.deepEqual(reader.taken, ['a']);
});

test('nothing is handed on after the call was ended, though the request was over before', async (t) => {
  const { connection, socket } = await connected(t, (server) =>
    server.end(answerOf(['a', 'b'], 'connection: close\r\n')),
  );
  const { answer, aborting, over } = await ask(connection);
  const reader = busyReader();
  const reading = answer.read(reader.take);
  await reader.first;
  await over;
  assert.ok(socket.destroyed);
  aborting.abort(new CallRefused(CHANGED));
  await assert.rejects(reading, isDrift);
  reader.goOn();
  await nextSteps();
  assert.deepEqual(reader.taken, ['a']);
});

test('nothing is handed on after the connection was ended', async (t) => {
  const { connection } = await connected(t, (socket) => socket.write(answerOf(['a', 'b'])));
  const { answer } = await ask(connection);
  const reader = busyReader();
  const reading = answer.read(reader.take);
  await reader.first;
  connection.end(CHANGED);
  reader.goOn();
  await assert.rejects(reading, isDrift);
  await nextSteps();
  assert.deepEqual(reader.taken, ['a']);
});

test('an answer that breaks off in the middle of a chunk is no whole one', async (t) => {
  const { connection } = await connected(t, (socket) => socket.end(`${HEAD}\r\n5\r\nab`));
  const { answer } = await ask(connection);
  const taken: string[] = [];
  const reading = answer.read((chunk) => {
    taken.push(chunk.toString());
    return undefined;
  });
  await assert.rejects(reading, (error: CallRefused) => error.rejection.code === 'INFERENCE_UNAVAILABLE');
});
