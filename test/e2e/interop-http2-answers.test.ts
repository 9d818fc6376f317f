import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { constants, sensitiveHeaders } from 'node:http2';
import { test } from 'node:test';
import { connectHttp2, Exchange, ScriptedHttp2Server } from '../support/http2-exchange.ts';
import { meshBefore } from '../support/mesh-before.ts';

/** The values under this name, in order, as they came. */
function valuesOf(rawHeaders: readonly string[], name: string): string[] {
  return rawHeaders.filter((_, at) => at % 2 === 1 && rawHeaders[at - 1] === name);
}

test('plain HTTP/2 by Node.js, through two sidecars: every form of request and answer', async (t) => {
  const server = await ScriptedHttp2Server.start(t);
  const session = await connectHttp2(t, await meshBefore(t, server.address));

  await t.test('GET: pseudo-headers, path with query, headers both ways, a body back', async () => {
    const path = '/a/b%20c/;d?q=1&r=%2F..%2F&s=a+b';
    const exchange = new Exchange(session, { ':path': path, accept: '*/*' }, { endStream: true });
    const { stream, headers } = await server.streams.take();
    assert.equal(headers[':method'], 'GET');
    assert.equal(headers[':scheme'], 'http');
    assert.equal(headers[':authority'], 'researcher');
    assert.equal(headers[':path'], path);
    assert.equal(headers.accept, '*/*');
    const body = randomBytes(300_000);
    stream.respond({ ':status': 200, 'content-type': 'application/octet-stream', 'content-length': body.length });
    stream.end(body);
    const answer = await exchange.over;
    assert.equal(answer.headers[':status'], 200);
    assert.equal(answer.headers['content-type'], 'application/octet-stream');
    assert.equal(answer.headers['content-length'], String(body.length));
    assert.ok(answer.body.equals(body));
    assert.equal(answer.resetCode, 0);
  });

  await t.test('any method, bodies both ways', async () => {
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'QUERY']) {
      const body = randomBytes(1_000);
      const exchange = new Exchange(session, { ':method': method, ':path': '/echo' });
      const over = exchange.ended(body);
      const { stream, headers } = await server.streams.take();
      assert.equal(headers[':method'], method);
      stream.respond({ ':status': 201 });
      stream.pipe(stream);
      const answer = await over;
      assert.equal(answer.headers[':status'], 201);
      assert.ok(answer.body.equals(body), method);
    }
  });

  await t.test('OPTIONS * ', async () => {
    const exchange = new Exchange(session, { ':method': 'OPTIONS', ':path': '*' }, { endStream: true });
    const { stream, headers } = await server.streams.take();
    assert.equal(headers[':path'], '*');
    stream.respond({ ':status': 200, allow: 'GET' }, { endStream: true });
    assert.equal((await exchange.over).headers['allow'], 'GET');
  });

  await t.test('HEAD, 204 and 304: headers that end the stream, a length without a body', async () => {
    for (const [method, status, length] of [
      ['HEAD', 200, '12345'],
      ['GET', 204, undefined],
      ['GET', 304, '777'],
    ] as const) {
      const exchange = new Exchange(session, { ':method': method, ':path': '/' }, { endStream: true });
      const { stream } = await server.streams.take();
      const headers = { ':status': status, etag: '"v1"', ...(length !== undefined && { 'content-length': length }) };
      stream.respond(headers, { endStream: true });
      const answer = await exchange.over;
      assert.equal(answer.headers[':status'], status);
      assert.equal(answer.headers.etag, '"v1"');
      assert.equal(answer.headers['content-length'], length);
      assert.equal(answer.endedByHeaders, true);
      assert.equal(answer.body.length, 0);
      assert.equal(answer.resetCode, 0);
    }
  });

  await t.test('an empty DATA frame ends an answer as well as headers do', async () => {
    const exchange = new Exchange(session, { ':path': '/' }, { endStream: true });
    const { stream } = await server.streams.take();
    stream.respond({ ':status': 200 });
    stream.end();
    const answer = await exchange.over;
    assert.equal(answer.headers[':status'], 200);
    assert.equal(answer.body.length, 0);
  });

  await t.test('102 and 103, several, before the final headers', async () => {
    const exchange = new Exchange(session, { ':path': '/' }, { endStream: true });
    const { stream } = await server.streams.take();
    stream.additionalHeaders({ ':status': 102 });
    stream.additionalHeaders({ ':status': 103, link: '</style.css>; rel=preload' });
    stream.additionalHeaders({ ':status': 103, link: '</more.css>; rel=preload' });
    stream.respond({ ':status': 200 });
    stream.end('final');
    const answer = await exchange.over;
    assert.deepEqual(
      answer.informational.map((headers) => [headers[':status'], headers['link']]),
      [
        [102, undefined],
        [103, '</style.css>; rel=preload'],
        [103, '</more.css>; rel=preload'],
      ],
    );
    assert.equal(answer.headers[':status'], 200);
    assert.equal(answer.body.toString(), 'final');
  });

  await t.test('trailers both ways, with bodies and without', async () => {
    for (const size of [0, 1, 100_000]) {
      const body = Buffer.alloc(size, 'b');
      const exchange = new Exchange(session, { ':method': 'POST', ':path': '/' }, { waitForTrailers: true });
      exchange.stream.once('wantTrailers', () => exchange.stream.sendTrailers({ 'x-sent': 'after', 'x-two': '2' }));
      const over = exchange.ended(body);
      const { stream } = await server.streams.take();
      const [chunks, trailers] = [[] as Buffer[], once(stream, 'trailers')];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      const [sent] = (await trailers) as [Record<string, string>];
      assert.equal(sent['x-sent'], 'after');
      assert.equal(sent['x-two'], '2');
      if (!stream.readableEnded) await once(stream, 'end');
      assert.ok(Buffer.concat(chunks).equals(body));
      stream.respond({ ':status': 200 }, { waitForTrailers: true });
      stream.once('wantTrailers', () => stream.sendTrailers({ 'x-back': 'behind', 'x-size': String(size) }));
      stream.end(body);
      const answer = await over;
      assert.equal(answer.trailers['x-back'], 'behind');
      assert.equal(answer.trailers['x-size'], String(size));
      assert.ok(answer.body.equals(body));
    }
  });

  await t.test('repeated fields stay apart and in order; cookies, too', async () => {
    const exchange = new Exchange(
      session,
      { ':path': '/', 'x-many': ['a', 'b, c', '', 'a'], cookie: ['k=v', 'l=w'], 'x-last': 'z' },
      { endStream: true },
    );
    const { stream, headers, rawHeaders } = await server.streams.take();
    assert.deepEqual(valuesOf(rawHeaders, 'x-many'), ['a', 'b, c', '', 'a']);
    assert.equal(headers.cookie, 'k=v; l=w');
    assert.ok(rawHeaders.lastIndexOf('x-many') < rawHeaders.indexOf('x-last'));
    stream.respond({ ':status': 200, 'set-cookie': ['a=1; Path=/', 'b=2', 'a=3'], 'x-many': ['1', '2'] });
    stream.end();
    const answer = await exchange.over;
    assert.deepEqual(answer.headers['set-cookie'], ['a=1; Path=/', 'b=2', 'a=3']);
    assert.equal(answer.headers['x-many'], '1, 2');
  });

  await t.test('what must never be put into a table keeps that mark, both ways', async () => {
    const secret = { authorization: 'Bearer s3cret', 'x-key': 'k', [sensitiveHeaders]: ['authorization', 'x-key'] };
    for (let n = 0; n < 3; n += 1) {
      const exchange = new Exchange(session, { ':path': '/', ...secret, 'x-open': 'o' }, { endStream: true });
      const { stream, headers } = await server.streams.take();
      assert.equal(headers.authorization, 'Bearer s3cret');
      const marked = headers[sensitiveHeaders as unknown as string] as unknown as string[];
      assert.ok(marked.includes('authorization') && marked.includes('x-key') && !marked.includes('x-open'));
      stream.respond({ ':status': 200, 'x-token': 't', [sensitiveHeaders]: ['x-token'] });
      stream.end();
      const answer = await exchange.over;
      assert.equal(answer.headers['x-token'], 't');
      assert.ok((answer.headers[sensitiveHeaders as unknown as string] as unknown as string[]).includes('x-token'));
    }
  });

  await t.test('32 KB of headers, over several frames, both ways', async () => {
    const large: Record<string, string> = { 'x-largest': 'l'.repeat(20_000) };
    for (let n = 0; n < 60; n += 1) large[`x-part-${n}`] = randomBytes(90).toString('hex');
    const exchange = new Exchange(session, { ':path': `/${'p'.repeat(2_000)}`, ...large }, { endStream: true });
    const { stream, headers } = await server.streams.take();
    assert.equal(headers[':path']?.length, 2_001);
    for (const [name, value] of Object.entries(large)) assert.equal(headers[name], value, name);
    stream.respond({ ':status': 200, ...large }, { endStream: true });
    const answer = await exchange.over;
    for (const [name, value] of Object.entries(large)) assert.equal(answer.headers[name], value, name);
  });

  await t.test('an answer that is complete before the request is: the rest is called off with NO_ERROR', async () => {
    const exchange = new Exchange(session, { ':method': 'POST', ':path': '/' });
    exchange.stream.write('a part');
    const { stream } = await server.streams.take();
    stream.respond({ ':status': 413 });
    stream.end('too much');
    stream.close(constants.NGHTTP2_NO_ERROR);
    const answer = await exchange.over;
    assert.equal(answer.headers[':status'], 413);
    assert.equal(answer.body.toString(), 'too much');
    assert.equal(answer.resetCode, constants.NGHTTP2_NO_ERROR);
  });
});
