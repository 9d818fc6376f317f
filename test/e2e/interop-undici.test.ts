import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { H2CClient } from 'undici';
import { ScriptedHttp2Server } from '../support/http2-exchange.ts';
import { meshBefore } from '../support/mesh-before.ts';

test('plain HTTP/2 by undici, through two sidecars', async (t) => {
  const server = await ScriptedHttp2Server.start(t);
  const socketPath = await meshBefore(t, server.address);
  const client = new H2CClient('http://researcher.mesh', { socketPath, pipelining: 50 });
  t.after(() => client.destroy());
  server.onStream = ({ stream, headers }) => {
    stream.respond({ ':status': 200, 'x-method': headers[':method'], 'x-path': headers[':path'] });
    stream.pipe(stream);
  };

  await t.test('a body that is known, there and back', async () => {
    const { statusCode, headers, body } = await client.request({ method: 'POST', path: '/known?a=1', body: 'hello' });
    assert.deepEqual([statusCode, headers['x-method'], headers['x-path']], [200, 'POST', '/known?a=1']);
    assert.equal(await body.text(), 'hello');
  });

  await t.test('200 requests at once, with bodies that are streamed', async () => {
    const bodies = Array.from({ length: 200 }, (_, n) => randomBytes(n * 100 + 1));
    const answers = await Promise.all(
      bodies.map(async (sent, n) => {
        const { body } = await client.request({ method: 'PUT', path: `/${n}`, body: Readable.from([sent]) });
        return Buffer.from(await body.arrayBuffer());
      }),
    );
    for (const [n, answer] of answers.entries()) assert.ok(answer.equals(bodies[n]!), `the body of ${n}`);
  });

  await t.test('4 MB there and back', async () => {
    const sent = randomBytes(4 * 1024 * 1024);
    const { body } = await client.request({ method: 'POST', path: '/large', body: sent });
    assert.ok(Buffer.from(await body.arrayBuffer()).equals(sent));
  });

  await t.test('a request that is given up is given up at the server, too; the connection goes on', async () => {
    server.onStream = undefined;
    const giveUp = new AbortController();
    const given = client.request({ method: 'GET', path: '/never', signal: giveUp.signal });
    const { stream } = await server.streams.take();
    const closed = new Promise((resolve) => stream.once('close', () => resolve(stream.aborted)));
    giveUp.abort();
    await assert.rejects(given, { name: 'AbortError' });
    // It says so with the code NO_ERROR.
    assert.equal(await closed, true);
    const next = client.request({ method: 'GET', path: '/after' });
    const after = await server.streams.take();
    after.stream.respond({ ':status': 204 }, { endStream: true });
    assert.equal((await next).statusCode, 204);
  });
});
