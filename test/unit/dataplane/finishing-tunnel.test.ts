import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { FinishingTunnel } from '../../../src/dataplane/finishing-tunnel.ts';

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

/** A client and a server with a tunnel between them; time stands still unless the test lets it pass. */
async function carried(t: TestContext) {
  const [client, server] = await Promise.all([connection(t), connection(t)]);
  let aheadMs = 0;
  const clock = { now: () => Date.now(), monotonic: () => performance.now() + aheadMs };
  const end = (stream: Socket) => ({ stream, reset: () => void stream.resetAndDestroy() });
  const tunnel = new FinishingTunnel({ client: end(client.near), server: end(server.near), clock });
  // Whoever is told that it is over says so, too.
  for (const { far } of [client, server]) far.once('end', () => far.end());
  return { tunnel, client: client.far, server: server.far, age: () => (aheadMs += 2000) };
}

async function say(from: Socket, bytes: string | Buffer, to: Socket): Promise<Buffer> {
  const heard = once(to, 'data') as Promise<[Buffer]>;
  from.write(bytes);
  return (await heard)[0];
}

test('what is silent after the word of the server is closed in good order, both ways', async (t) => {
  const { tunnel, client, server } = await carried(t);
  await say(client, 'question', server);
  await say(server, 'answer', client);
  tunnel.finish();
  const ended = Promise.all([once(client, 'end'), once(server, 'end')]);
  client.resume();
  server.resume();
  await ended;
  assert.equal(await tunnel.over, 'finished');
});

test('an answer that has not begun is waited for', async (t) => {
  const { tunnel, client, server } = await carried(t);
  await say(client, 'question', server);
  let over = false;
  void tunnel.over.then(() => (over = true));
  tunnel.finish();
  await new Promise((resolve) => setTimeout(resolve, 700));
  assert.equal(over, false);
  assert.equal((await say(server, 'answer', client)).toString(), 'answer');
  client.resume();
  assert.equal(await tunnel.over, 'finished');
});
