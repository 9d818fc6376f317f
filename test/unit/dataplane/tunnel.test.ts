import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, connect, type AddressInfo, type Socket } from 'node:net';
import { describe, mock, test, type TestContext } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { tunnel } from '../../../src/dataplane/tunnel.ts';
import { connectionOver } from '../../support/connection-over.ts';

const LINGER_MS = 5_000;
const CHUNK = Buffer.alloc(64 * 1024, 'x');

/** A TCP connection over loopback: the end that the tunnel gets, and the one that a peer or an agent has. */
async function connection(t: TestContext): Promise<{ near: Socket; far: Socket }> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const far = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', allowHalfOpen: true });
  const [near] = await accepted;
  server.close();
  far.on('error', () => undefined);
  t.after(() => {
    near.destroy();
    far.destroy();
  });
  return { near, far };
}

/** A tunnel between two connections: what is said at `a` comes out at `b`. */
async function tunnelled(t: TestContext) {
  const [a, b] = await Promise.all([connection(t), connection(t)]);
  const end = (stream: Socket) => ({ stream, reset: () => void stream.resetAndDestroy() });
  let outcome: string | undefined;
  const over = tunnel(end(a.near), end(b.near)).then((how) => (outcome = how));
  return { a, b, over, outcome: () => outcome };
}

/** The tunnel's own timer under the test's control; sockets go on as ever. */
function controlTimer(t: TestContext): void {
  mock.timers.enable({ apis: ['setTimeout'] });
  t.after(() => mock.timers.reset());
}

async function readToEnd(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  await once(socket, 'end');
  return Buffer.concat(chunks);
}

async function until(holds: () => boolean): Promise<void> {
  for (const deadline = performance.now() + 5_000; !holds(); await nextTurn())
    assert.ok(performance.now() < deadline, `never: ${String(holds)}`);
}

/**
 * Sends from one far end until nothing more fits on the way to the other, which reads nothing; then both say that they
 * have no more to send. So the sender's side is done with, and the other still has something to deliver.
 */
async function fillAndEnd({ a, b }: Awaited<ReturnType<typeof tunnelled>>): Promise<number> {
  let sent = 0;
  // Several looks, since a system may make more room at first.
  for (let stuck = 0; stuck < 50; stuck = b.near.writableLength > 0 ? stuck + 1 : 0) {
    if (b.near.writableLength > 0) {
      await nextTurn();
      continue;
    }
    a.far.write(CHUNK);
    sent += CHUNK.length;
    await until(() => a.near.bytesRead === sent);
    await nextTurn();
  }
  a.far.end();
  b.far.end();
  await Promise.all([once(a.near, 'close'), readToEnd(a.far)]);
  assert.ok(b.near.writableLength > 0 && !b.near.destroyed, 'nothing is left to deliver: the test says nothing');
  return sent;
}

test('bytes pass both ways, and so does the end of either way alone', async (t) => {
  const { a, b, over, outcome } = await tunnelled(t);
  a.far.end('a question');
  assert.equal((await readToEnd(b.far)).toString(), 'a question');
  assert.equal(outcome(), undefined, 'only one way has ended');
  b.far.write('the ');
  b.far.end('answer');
  assert.equal((await readToEnd(a.far)).toString(), 'the answer');
  assert.equal(await over, 'finished');
  assert.deepEqual([a.near.destroyed, b.near.destroyed], [true, true]);
});

test('whoever is called may end first, too', async (t) => {
  const { a, b, over } = await tunnelled(t);
  b.far.end('take this');
  assert.equal((await readToEnd(a.far)).toString(), 'take this');
  a.far.end('thanks');
  assert.equal((await readToEnd(b.far)).toString(), 'thanks');
  assert.equal(await over, 'finished');
});

test('a reset on one side is a reset on the other', async (t) => {
  for (const side of ['a', 'b'] as const) {
    const made = await tunnelled(t);
    const other = made[side === 'a' ? 'b' : 'a'];
    made[side].far.write('x');
    await once(other.far, 'data');
    const failed = once(other.far, 'error') as Promise<[NodeJS.ErrnoException]>;
    made[side].far.resetAndDestroy();
    assert.equal((await failed)[0].code, 'ECONNRESET');
    assert.equal(await made.over, 'reset');
  }
});

test('an end that is destroyed at our side takes the other with it', async (t) => {
  const { a, b, over } = await tunnelled(t);
  a.near.destroy();
  await connectionOver(b.far);
  assert.equal(await over, 'reset');
});

test('an end that had nothing more to say before the tunnel began is passed on all the same', async (t) => {
  const [a, b] = await Promise.all([connection(t), connection(t)]);
  a.far.end();
  a.near.resume();
  await once(a.near, 'end');
  const end = (stream: Socket) => ({ stream, reset: () => void stream.resetAndDestroy() });
  const over = tunnel(end(a.near), end(b.near));
  assert.equal((await readToEnd(b.far)).length, 0);
  b.far.end('answer');
  assert.equal((await readToEnd(a.far)).toString(), 'answer');
  assert.equal(await over, 'finished');
});

test('an end that was gone before the tunnel began leaves nothing open', async (t) => {
  controlTimer(t);
  for (const alreadyClosed of [false, true]) {
    const [a, b] = await Promise.all([connection(t), connection(t)]);
    a.near.destroy();
    if (alreadyClosed) await once(a.near, 'close');
    const end = (stream: Socket) => ({ stream, reset: () => void stream.resetAndDestroy() });
    assert.equal(await tunnel(end(a.near), end(b.near)), 'reset');
    assert.equal(b.near.destroyed, true);
  }
});

describe('one end is gone, and the other still has something to deliver', () => {
  test('it is reset when the time for that is over, and not before', async (t) => {
    controlTimer(t);
    const made = await tunnelled(t);
    await fillAndEnd(made);
    mock.timers.tick(LINGER_MS - 1);
    await nextTurn();
    assert.deepEqual([made.b.near.destroyed, made.outcome()], [false, undefined]);
    mock.timers.tick(1);
    assert.equal(await made.over, 'reset');
    assert.equal(made.b.near.destroyed, true);
  });

  test('it is left in peace when it delivers in time, to the last byte', async (t) => {
    controlTimer(t);
    const made = await tunnelled(t);
    const sent = await fillAndEnd(made);
    mock.timers.tick(LINGER_MS - 1);
    assert.equal((await readToEnd(made.b.far)).length, sent);
    assert.equal(await made.over, 'finished');
    mock.timers.tick(LINGER_MS);
    assert.equal(made.outcome(), 'finished');
  });
});
