import assert from 'node:assert/strict';
import { once } from 'node:events';
import { constants, type Http2Session } from 'node:http2';
import { connect } from 'node:net';
import { test } from 'node:test';
import { closed, connectHttp2, Exchange, ScriptedHttp2Server } from '../support/http2-exchange.ts';
import { meshBefore } from '../support/mesh-before.ts';
import { within } from '../support/within.ts';

function ping(session: Http2Session, payload: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    session.ping(payload, (error: Error | null, _duration, answer) => {
      if (error === null) resolve(answer);
      else reject(error);
    });
  });
}

test('plain HTTP/2 by Node.js, through two sidecars: what concerns the whole connection', async (t) => {
  const server = await ScriptedHttp2Server.start(t);
  const socket = await meshBefore(t, server.address);

  await t.test('PING from either side comes back with the same eight bytes', async (t) => {
    const session = await connectHttp2(t, socket);
    const atServer = await server.sessions.take();
    for (let n = 0; n < 20; n += 1) {
      const payload = Buffer.from([0, 255, n, 1, 2, 3, 4, 5]);
      assert.deepEqual(await within(ping(session, payload), 'the answer to a PING of the client'), payload);
      assert.deepEqual(await within(ping(atServer, payload), 'the answer to a PING of the server'), payload);
    }
  });

  await t.test('the client says GOAWAY: the server hears it, what is open finishes', async (t) => {
    const session = await connectHttp2(t, socket);
    const atServer = await server.sessions.take();
    const exchange = new Exchange(session, { ':method': 'POST', ':path': '/' });
    const { stream } = await server.streams.take();
    const heard = within(once(atServer, 'goaway'), 'GOAWAY at the server');
    session.goaway(constants.NGHTTP2_NO_ERROR);
    assert.equal((await heard)[0], constants.NGHTTP2_NO_ERROR);
    stream.respond({ ':status': 200 });
    stream.pipe(stream);
    const { body } = await exchange.ended('said after GOAWAY');
    assert.equal(body.toString(), 'said after GOAWAY');
  });

  await t.test('the server says GOAWAY: the client hears it, what is open finishes', async (t) => {
    const session = await connectHttp2(t, socket);
    const atServer = await server.sessions.take();
    const exchange = new Exchange(session, { ':method': 'POST', ':path': '/' });
    const { stream } = await server.streams.take();
    stream.respond({ ':status': 200 });
    stream.pipe(stream);
    const heard = within(once(session, 'goaway'), 'GOAWAY at the client');
    const over = closed(session, 'the session at the client');
    atServer.close();
    assert.equal((await heard)[0], constants.NGHTTP2_NO_ERROR);
    const { body } = await exchange.ended('said after GOAWAY');
    assert.equal(body.toString(), 'said after GOAWAY');
    await over;
  });

  await t.test(
    'the server ends everything with a code: the client hears it, and up to where its streams were heard',
    async (t) => {
      const session = await connectHttp2(t, socket);
      const atServer = await server.sessions.take();
      const exchange = new Exchange(session, { ':path': '/' }, { endStream: true });
      const { stream } = await server.streams.take();
      const heard = within(once(session, 'goaway'), 'GOAWAY at the client');
      atServer.goaway(constants.NGHTTP2_ENHANCE_YOUR_CALM, stream.id);
      const [code, lastStream] = (await heard) as [number, number];
      assert.equal(code, constants.NGHTTP2_ENHANCE_YOUR_CALM);
      assert.equal(lastStream, stream.id);
      await exchange.over;
    },
  );

  await t.test('the client closes in good order: its open stream finishes, then the server sees the end', async (t) => {
    const session = await connectHttp2(t, socket);
    const atServer = await server.sessions.take();
    const exchange = new Exchange(session, { ':path': '/' }, { endStream: true });
    const { stream } = await server.streams.take();
    const over = closed(atServer, 'the session at the server');
    session.close();
    stream.respond({ ':status': 200 });
    stream.end(Buffer.alloc(100_000, 'e'));
    assert.ok((await exchange.over).body.equals(Buffer.alloc(100_000, 'e')));
    await over;
  });

  await t.test('the client is gone all at once: the server sees its stream and session end', async (t) => {
    const raw = connect({ path: socket });
    const session = await connectHttp2(t, socket, { createConnection: () => raw });
    const atServer = await server.sessions.take();
    const exchange = new Exchange(session, { ':method': 'POST', ':path': '/' });
    exchange.stream.write('a part');
    const { stream } = await server.streams.take();
    await once(stream, 'data');
    const over = Promise.all([
      closed(stream, 'the stream at the server'),
      closed(atServer, 'the session at the server'),
    ]);
    raw.destroy();
    await over;
    assert.equal(stream.aborted, true);
    await exchange.over;
  });

  await t.test('the server is gone all at once: the client sees its stream and session end', async (t) => {
    const session = await connectHttp2(t, socket);
    const exchange = new Exchange(session, { ':path': '/' }, { endStream: true });
    const { stream } = await server.streams.take();
    stream.respond({ ':status': 200 });
    stream.write('a part');
    await once(exchange.stream, 'data');
    const over = closed(session, 'the session at the client');
    server.cut();
    await over;
    const { body } = await exchange.over;
    assert.equal(body.toString(), 'a part');
    assert.equal(exchange.stream.readableEnded && exchange.stream.rstCode === 0, false, 'it is not taken for complete');
  });
});
