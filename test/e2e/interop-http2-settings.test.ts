import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { constants, type Settings } from 'node:http2';
import { test } from 'node:test';
import { connectHttp2, Exchange, ScriptedHttp2Server } from '../support/http2-exchange.ts';
import { meshBefore } from '../support/mesh-before.ts';
import { within } from '../support/within.ts';

const LARGEST_WINDOW = 2 ** 31 - 1;

test('plain HTTP/2 by Node.js, through two sidecars: settings of every size, on both sides', async (t) => {
  const server = await ScriptedHttp2Server.start(t);
  const socket = await meshBefore(t, server.address);

  /** A body there and another back, with headers and trailers that a table could hold. */
  async function assertExchange(
    session: Awaited<ReturnType<typeof connectHttp2>>,
    { up, down, label = 'l' }: { readonly up: number; readonly down: number; readonly label?: string },
  ): Promise<void> {
    const [request, response] = [randomBytes(up), randomBytes(down)];
    const exchange = new Exchange(session, { ':method': 'POST', ':path': '/exchange', 'x-label': label });
    const over = exchange.ended(request);
    const { stream, headers } = await server.streams.take();
    assert.equal(headers['x-label'], label);
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    await within(once(stream, 'end'), 'the end of the request');
    assert.ok(Buffer.concat(chunks).equals(request));
    stream.respond({ ':status': 200, 'x-label': label }, { waitForTrailers: true });
    stream.once('wantTrailers', () => stream.sendTrailers({ 'x-label': label }));
    stream.end(response);
    const answer = await over;
    assert.equal(answer.headers['x-label'], label);
    assert.equal(answer.trailers['x-label'], label);
    assert.ok(answer.body.equals(response));
  }

  const ofTheClient: readonly [string, Settings, number][] = [
    ['a window of 1 byte', { initialWindowSize: 1 }, 200],
    ['a window of 1,000 bytes', { initialWindowSize: 1_000 }, 50_000],
    ['the largest window', { initialWindowSize: LARGEST_WINDOW }, 3_000_000],
    ['the largest frames', { maxFrameSize: 2 ** 24 - 1, initialWindowSize: LARGEST_WINDOW }, 3_000_000],
    ['no table of headers', { headerTableSize: 0 }, 1_000],
    ['a large table of headers', { headerTableSize: 1_000_000 }, 1_000],
    ['a bound on headers', { maxHeaderListSize: 16_384 }, 1_000],
    ['an unknown setting', { customSettings: { 0xf000: 7 } }, 1_000],
  ];
  for (const [name, settings, down] of ofTheClient) {
    await t.test(`the client has ${name}`, async (t) => {
      const session = await connectHttp2(t, socket, { settings });
      for (const label of ['first', 'second', 'second', 'third'])
        await assertExchange(session, { up: 1_000, down, label });
    });
  }

  await t.test('the client takes no pushes: the server sees that it must not', async (t) => {
    const session = await connectHttp2(t, socket, { settings: { enablePush: false } });
    const exchange = new Exchange(session, { ':path': '/' }, { endStream: true });
    const { stream } = await server.streams.take();
    assert.equal(stream.pushAllowed, false);
    stream.respond({ ':status': 200 });
    stream.end('no push');
    assert.equal((await exchange.over).body.toString(), 'no push');
  });

  await t.test('a window of nothing holds an answer, until the client changes its mind', async (t) => {
    const session = await connectHttp2(t, socket, { settings: { initialWindowSize: 0 } });
    const exchange = new Exchange(session, { ':path': '/' }, { endStream: true });
    const { stream } = await server.streams.take();
    stream.respond({ ':status': 200 });
    const body = randomBytes(200_000);
    stream.end(body);
    let came = 0;
    exchange.stream.on('data', () => (came += 1));
    await once(exchange.stream, 'response');
    // A ping that goes there and back after the headers: what could come has come.
    await ping(session);
    await ping(session);
    assert.equal(came, 0);
    session.settings({ initialWindowSize: 100_000 });
    assert.ok((await exchange.over).body.equals(body));
  });

  await t.test('settings that change again and again between calls', async (t) => {
    const session = await connectHttp2(t, socket);
    for (const headerTableSize of [0, 4_096, 100, 65_536, 0, 4_096]) {
      const acknowledged = once(session, 'localSettings');
      session.settings({ headerTableSize, initialWindowSize: 10_000 + headerTableSize });
      await within(acknowledged, 'the acknowledgement of SETTINGS');
      for (let n = 0; n < 3; n += 1)
        await assertExchange(session, { up: 20_000, down: 20_000, label: `label ${headerTableSize}` });
    }
  });

  await t.test('padding in every frame, both ways', async (t) => {
    const padding = await ScriptedHttp2Server.start(t, { paddingStrategy: constants.PADDING_STRATEGY_MAX });
    const socket = await meshBefore(t, padding.address);
    const session = await connectHttp2(t, socket, { paddingStrategy: constants.PADDING_STRATEGY_MAX });
    for (const size of [0, 1, 255, 256, 16_000, 16_384, 500_000]) {
      const body = randomBytes(size);
      const exchange = new Exchange(session, { ':method': 'POST', ':path': '/', 'x-size': String(size) });
      const over = exchange.ended(body);
      const { stream, headers } = await padding.streams.take();
      assert.equal(headers['x-size'], String(size));
      stream.respond({ ':status': 200 });
      stream.pipe(stream);
      assert.ok((await over).body.equals(body), `${size} bytes`);
    }
  });
});

const ofTheServer: readonly [string, Settings, number][] = [
  ['a window of 1 byte', { initialWindowSize: 1 }, 200],
  ['the largest window', { initialWindowSize: LARGEST_WINDOW }, 3_000_000],
  ['the largest frames', { maxFrameSize: 2 ** 24 - 1, initialWindowSize: LARGEST_WINDOW }, 3_000_000],
  ['no table of headers', { headerTableSize: 0 }, 1_000],
  ['a large table of headers', { headerTableSize: 1_000_000 }, 1_000],
];

test('plain HTTP/2 by Node.js, through two sidecars: settings of the server', async (t) => {
  const server = await ScriptedHttp2Server.start(t);
  const socket = await meshBefore(t, server.address);
  for (const [name, settings, up] of ofTheServer) {
    await t.test(`the server has ${name}`, async (t) => {
      server.settings = settings;
      const session = await connectHttp2(t, socket);
      for (const label of ['first', 'second', 'second']) {
        const body = randomBytes(up);
        const exchange = new Exchange(session, { ':method': 'POST', ':path': '/', 'x-label': label });
        const over = exchange.ended(body);
        const { stream, headers } = await server.streams.take();
        assert.equal(headers['x-label'], label);
        stream.respond({ ':status': 200 });
        stream.pipe(stream);
        assert.ok((await over).body.equals(body));
      }
    });
  }

  await t.test('a window of nothing holds a request, until the server changes its mind', async (t) => {
    server.settings = { initialWindowSize: 0 };
    const session = await connectHttp2(t, socket);
    const body = randomBytes(200_000);
    const exchange = new Exchange(session, { ':method': 'POST', ':path': '/' });
    const over = exchange.ended(body);
    const { stream } = await server.streams.take();
    assert.equal(stream.readableLength, 0);
    stream.session?.settings({ initialWindowSize: 100_000 });
    stream.respond({ ':status': 200 });
    stream.pipe(stream);
    assert.ok((await over).body.equals(body));
  });
});

function ping(session: Awaited<ReturnType<typeof connectHttp2>>): Promise<void> {
  return new Promise((resolve, reject) => {
    session.ping((error: Error | null) => (error === null ? resolve() : reject(error)));
  });
}
