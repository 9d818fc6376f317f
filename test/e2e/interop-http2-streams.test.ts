import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { constants } from 'node:http2';
import { test } from 'node:test';
import { closed, connectHttp2, Exchange, ScriptedHttp2Server } from '../support/http2-exchange.ts';
import { meshBefore } from '../support/mesh-before.ts';
import { pollUntil } from '../support/poll-until.ts';

/** Codes that say something of a stream; others end the whole connection, or nothing. */
const RESET_CODES = [
  constants.NGHTTP2_PROTOCOL_ERROR,
  constants.NGHTTP2_INTERNAL_ERROR,
  constants.NGHTTP2_STREAM_CLOSED,
  constants.NGHTTP2_REFUSED_STREAM,
  constants.NGHTTP2_CANCEL,
  constants.NGHTTP2_ENHANCE_YOUR_CALM,
  constants.NGHTTP2_INADEQUATE_SECURITY,
  constants.NGHTTP2_HTTP_1_1_REQUIRED,
];

test('plain HTTP/2 by Node.js, through two sidecars: many streams, and streams that are broken off', async (t) => {
  const server = await ScriptedHttp2Server.start(t);
  const socket = await meshBefore(t, server.address);
  const session = await connectHttp2(t, socket);
  const assertAlive = async (on = session) => {
    const exchange = new Exchange(on, { ':method': 'POST', ':path': '/alive' });
    const body = randomBytes(100_000);
    const over = exchange.ended(body);
    const { stream, headers } = await server.streams.take();
    assert.equal(headers[':path'], '/alive');
    stream.respond({ ':status': 200 });
    stream.pipe(stream);
    assert.ok((await over).body.equals(body));
  };

  await t.test('500 streams at once, each with its own body there and back', async () => {
    server.onStream = ({ stream, headers }) => {
      stream.respond({ ':status': 200, 'x-path': headers[':path'] });
      stream.pipe(stream);
    };
    const bodies = Array.from({ length: 500 }, (_, n) => randomBytes(n * 20));
    const exchanges = bodies.map((_, n) => new Exchange(session, { ':method': 'POST', ':path': `/${n}` }));
    const answers = await Promise.all(exchanges.map((exchange, n) => exchange.ended(bodies[n])));
    server.onStream = undefined;
    for (const [n, { headers, body, resetCode }] of answers.entries()) {
      assert.equal(headers['x-path'], `/${n}`);
      assert.ok(body.equals(bodies[n]!), `the body of ${n}`);
      assert.equal(resetCode, 0);
    }
  });

  await t.test('the client breaks off: the server is told, with the code', async () => {
    for (const code of RESET_CODES) {
      const exchange = new Exchange(session, { ':method': 'POST', ':path': '/' });
      exchange.stream.write('a part');
      const { stream } = await server.streams.take();
      await once(stream, 'data');
      const over = closed(stream, `the stream at the server, reset with ${code}`);
      exchange.stream.close(code);
      await over;
      assert.equal(stream.rstCode, code);
      await exchange.over;
    }
    await assertAlive();
  });

  await t.test('the server breaks off before it has answered: the client is told, with the code', async () => {
    for (const code of RESET_CODES) {
      const exchange = new Exchange(session, { ':path': '/' }, { endStream: true });
      (await server.streams.take()).stream.close(code);
      const { headers, resetCode } = await exchange.over;
      assert.deepEqual(headers, {});
      assert.equal(resetCode, code);
    }
    await assertAlive();
  });

  await t.test('the server breaks off in the middle of its answer: the client is told, with the code', async () => {
    for (const code of RESET_CODES) {
      const exchange = new Exchange(session, { ':path': '/' }, { endStream: true, read: false });
      const { stream } = await server.streams.take();
      stream.respond({ ':status': 200 });
      // More than the window: Node.js would send what it has, and an end in good order, before the reset.
      stream.write(Buffer.alloc(1_000_000));
      await once(exchange.stream, 'response');
      stream.close(code);
      const { headers, resetCode } = await exchange.over;
      assert.equal(headers[':status'], 200);
      assert.equal(resetCode, code);
    }
    await assertAlive();
  });

  await t.test('a stream that was broken off unread gives its bytes back to the connection', async () => {
    for (let n = 0; n < 30; n += 1) {
      const up = new Exchange(session, { ':method': 'POST', ':path': '/up' });
      up.stream.write(Buffer.alloc(32_768));
      const { stream } = await server.streams.take();
      const over = closed(stream, 'the stream at the server');
      up.stream.close(constants.NGHTTP2_CANCEL);
      await over;
      const down = new Exchange(session, { ':path': '/down' }, { endStream: true, read: false });
      const { stream: answering } = await server.streams.take();
      answering.respond({ ':status': 200 });
      answering.write(Buffer.alloc(32_768));
      await once(down.stream, 'response');
      const noticed = closed(answering, 'the stream at the server');
      down.stream.close(constants.NGHTTP2_CANCEL);
      await noticed;
    }
    await assertAlive();
  });

  await t.test('a slow reader of one stream holds that one alone; then it gets everything', async (t) => {
    const session = await connectHttp2(t, socket);
    const slow = new Exchange(session, { ':path': '/slow' }, { endStream: true, read: false });
    const { stream } = await server.streams.take();
    stream.respond({ ':status': 200 });
    const body = randomBytes(8_000_000);
    const held = !stream.write(body);
    stream.end();
    assert.equal(held, true);
    for (let n = 0; n < 10; n += 1) await assertAlive(session);
    assert.equal(stream.writableFinished, false);
    const chunks: Buffer[] = [];
    slow.stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    await slow.over;
    assert.ok(Buffer.concat(chunks).equals(body));
  });

  await t.test('no more at once than the server allows, and all of them in the end', async (t) => {
    const narrow = await ScriptedHttp2Server.start(t, { settings: { maxConcurrentStreams: 3 } });
    const session = await connectHttp2(t, await meshBefore(t, narrow.address));
    await pollUntil(
      () => session.remoteSettings.maxConcurrentStreams ?? 0,
      (allowed) => allowed === 3,
    );
    let [open, most] = [0, 0];
    narrow.onStream = ({ stream }) => {
      open += 1;
      most = Math.max(most, open);
      stream.once('close', () => (open -= 1));
      stream.respond({ ':status': 200 });
      stream.pipe(stream);
    };
    const exchanges = Array.from({ length: 40 }, () => new Exchange(session, { ':method': 'POST', ':path': '/' }));
    const answers = await Promise.all(exchanges.map((exchange, n) => exchange.ended(String(n))));
    assert.deepEqual(
      answers.map(({ resetCode }) => resetCode),
      answers.map(() => 0),
    );
    assert.deepEqual(
      answers.map(({ body }) => body.toString()),
      exchanges.map((_, n) => String(n)),
    );
    assert.equal(most, 3);
  });
});
