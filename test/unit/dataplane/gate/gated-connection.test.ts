import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { ClientHttp2Session, IncomingHttpHeaders } from 'node:http2';
import { test } from 'node:test';
import { rejection } from '../../../../src/domain/rejection.ts';
import { startGatedPair } from '../../../support/gated-pair.ts';

interface Answer {
  readonly headers: IncomingHttpHeaders;
  readonly trailers: IncomingHttpHeaders;
  readonly body: Buffer;
}

async function call(
  client: ClientHttp2Session,
  headers: Record<string, string>,
  body: Buffer = Buffer.alloc(0),
): Promise<Answer> {
  const stream = client.request({ ':method': 'POST', ...headers });
  stream.end(body);
  let trailers: IncomingHttpHeaders = {};
  stream.on('trailers', (received) => (trailers = received));
  const [answered] = (await once(stream, 'response')) as [IncomingHttpHeaders];
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return { headers: answered, trailers, body: Buffer.concat(chunks) };
}

test('bodies of every size come through both ways, with headers and trailers', async (t) => {
  const { client, policy } = await startGatedPair(t, (server) => {
    server.on('stream', (stream, headers) => {
      stream.respond({ ':status': 200, 'x-seen': String(headers['x-sent']) }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'x-last': 'word' }));
      stream.pipe(stream);
    });
  });
  for (const size of [0, 1, 100, 16_384, 16_385, 70_000, 3_000_000]) {
    const body = randomBytes(size);
    const answer = await call(client, { ':path': '/echo', 'x-sent': `v${size}` }, body);
    assert.equal(answer.headers['x-seen'], `v${size}`);
    assert.equal(answer.trailers['x-last'], 'word');
    assert.ok(answer.body.equals(body), `${size} bytes came back changed`);
  }
  assert.deepEqual(
    policy.ended_.map(({ outcome }) => [
      outcome.httpStatus,
      outcome.requestBytes,
      outcome.responseBytes,
      outcome.source,
    ]),
    [0, 1, 100, 16_384, 16_385, 70_000, 3_000_000].map((size) => [200, size, size, 'app']),
  );
});

test('many calls at once on one connection', async (t) => {
  const { client, policy } = await startGatedPair(t, (server) => {
    server.on('stream', (stream) => {
      stream.respond({ ':status': 200 });
      stream.pipe(stream);
    });
  });
  const bodies = Array.from({ length: 90 }, (_, index) => randomBytes(index * 700));
  const answers = await Promise.all(bodies.map((body) => call(client, { ':path': '/echo' }, body)));
  answers.forEach(({ body }, index) => assert.ok(body.equals(bodies[index]!)));
  assert.equal(policy.started_.length, 90);
});

test('a refused call is answered, the callee hears nothing, and the next call goes on', async (t) => {
  let seen = 0;
  const { client, policy } = await startGatedPair(t, (server) => {
    server.on('stream', (stream) => {
      seen += 1;
      stream.respond({ ':status': 200 });
      stream.end('done');
    });
  });
  policy.decision = ({ path }) =>
    path === '/no'
      ? { permitted: false, label: 'other', rejection: rejection('GRANT_MISSING', 'not that one') }
      : { permitted: true, label: 'any' };
  const refused = await call(client, { ':path': '/no' }, Buffer.alloc(300_000));
  assert.equal(refused.headers[':status'], 403);
  assert.equal(refused.headers['x-ait-refused'], 'GRANT_MISSING');
  const refusedGrpc = await call(client, { ':path': '/no', 'content-type': 'application/grpc', te: 'trailers' });
  assert.equal(refusedGrpc.headers['grpc-status'], '7');
  // More than a whole connection window was swallowed: it must have been given back.
  for (let i = 0; i < 3; i += 1) await call(client, { ':path': '/no' }, Buffer.alloc(60_000));
  const answer = await call(client, { ':path': '/yes' }, Buffer.alloc(100_000));
  assert.equal(answer.body.toString(), 'done');
  assert.equal(seen, 1);
  assert.equal(policy.ended_[0]!.outcome.source, 'sidecar');
});

test('open calls are cut when they are no longer permitted', async (t) => {
  const { client, policy, connections } = await startGatedPair(t, (server) => {
    server.on('stream', (stream) => {
      stream.on('error', () => undefined);
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
      stream.write(Buffer.alloc(10));
    });
  });
  const stream = client.request({
    ':method': 'POST',
    ':path': '/s',
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  stream.resume();
  await once(stream, 'response');
  policy.decision = () => ({ permitted: false, label: 'other', rejection: rejection('GRANT_MISSING', 'withdrawn') });
  const trailers = once(stream, 'trailers');
  connections[0]!.reconsider();
  const [received] = (await trailers) as [IncomingHttpHeaders];
  assert.equal(received['grpc-status'], '7');
});
