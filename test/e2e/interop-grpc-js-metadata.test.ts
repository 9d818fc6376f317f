import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Metadata, status } from '@grpc/grpc-js';
import { connectHttp2, Exchange } from '../support/http2-exchange.ts';
import { meshBefore } from '../support/mesh-before.ts';
import { ScriptedCaller, ScriptedServer, type TakenUnary } from '../support/scripted-grpc.ts';

const EVERY_BYTE = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
const PRINTABLE = Array.from({ length: 0x7f - 0x21 }, (_, n) => String.fromCodePoint(0x21 + n)).join('');

/** Metadata of every kind. */
function everyKind(): Metadata {
  const metadata = new Metadata();
  metadata.set('x-printable', PRINTABLE);
  metadata.set('x-inner-space', 'a b  c');
  metadata.set('x-empty', '');
  for (const value of ['one', 'two', 'one', '']) metadata.add('x-many', value);
  metadata.set('x.dots_and-dashes', 'value');
  metadata.set('0', 'a digit is a name');
  metadata.set('x-every-bin', EVERY_BYTE);
  metadata.set('x-empty-bin', Buffer.alloc(0));
  for (let length = 1; length <= 4; length += 1) metadata.add('x-many-bin', EVERY_BYTE.subarray(252 - length, 252));
  return metadata;
}

/** What Node.js makes of {@link everyKind} on the other side, with or without a mesh between. */
function assertEveryKind(received: Metadata): void {
  assert.deepEqual(received.get('x-printable'), [PRINTABLE]);
  assert.deepEqual(received.get('x-inner-space'), ['a b  c']);
  assert.deepEqual(received.get('x-empty'), ['']);
  assert.deepEqual(received.get('x-many'), ['one, two, one, '], 'in order; Node.js joins them');
  assert.deepEqual(received.get('x.dots_and-dashes'), ['value']);
  assert.deepEqual(received.get('0'), ['a digit is a name']);
  assert.deepEqual(received.get('x-every-bin'), [EVERY_BYTE]);
  assert.deepEqual(received.get('x-empty-bin'), [Buffer.alloc(0)]);
  assert.deepEqual(
    received.get('x-many-bin'),
    [1, 2, 3, 4].map((length) => EVERY_BYTE.subarray(252 - length, 252)),
  );
}

test('grpc-js on both sides, through two sidecars: metadata of every kind, byte for byte', async (t) => {
  const server = await ScriptedServer.start(t);
  const socket = await meshBefore(t, server.address);
  const caller = new ScriptedCaller(t, socket);

  await t.test('of the request, of the answer, and behind it', async () => {
    const { outcome } = caller.unary(Buffer.from('x'), { metadata: everyKind() });
    const { call, answer } = await server.unary.take();
    assertEveryKind(call.metadata);
    assert.equal(call.metadata.get('user-agent').length, 1);
    call.sendMetadata(everyKind());
    answer(null, Buffer.from('y'), everyKind());
    const { initial, messages, status: ended } = await outcome;
    assert.ok(initial !== undefined);
    assertEveryKind(initial);
    assertEveryKind(ended.metadata);
    assert.deepEqual(messages, [Buffer.from('y')]);
    assert.equal(ended.code, status.OK);
  });

  await t.test('the same a hundred times on one connection, with other values each time', async () => {
    for (let n = 0; n < 100; n += 1) {
      const [metadata, back] = [new Metadata(), new Metadata()];
      metadata.set('x-number', String(n));
      metadata.set(`x-name-${n}`, 'v'.repeat(n));
      metadata.set('x-steady', 'the same in every call');
      back.set('x-back', String(-n));
      const { outcome } = caller.unary(Buffer.from([n]), { metadata });
      const { call, answer }: TakenUnary = await server.unary.take();
      assert.deepEqual(call.metadata.get('x-number'), [String(n)]);
      assert.deepEqual(call.metadata.get(`x-name-${n}`), ['v'.repeat(n)]);
      assert.deepEqual(call.metadata.get('x-steady'), ['the same in every call']);
      answer(null, call.request, back);
      const { messages, status: ended } = await outcome;
      assert.deepEqual(messages, [Buffer.from([n])]);
      assert.deepEqual(ended.metadata.get('x-back'), [String(-n)]);
    }
  });

  await t.test('12 KB in one value and in many, there, back and behind', async () => {
    const large = new Metadata();
    large.set('x-large', PRINTABLE.repeat(128).slice(0, 12_288));
    large.set('x-large-bin', Buffer.concat(Array.from({ length: 16 }, () => EVERY_BYTE)));
    for (let n = 0; n < 60; n += 1) large.set(`x-part-${n}`, String(n).repeat(50));
    const assertLarge = (received: Metadata) => {
      for (const [name, value] of Object.entries(large.getMap())) assert.deepEqual(received.get(name), [value], name);
    };
    const { outcome } = caller.unary(Buffer.from('x'), { metadata: large });
    const { call, answer } = await server.unary.take();
    assertLarge(call.metadata);
    call.sendMetadata(large);
    answer(null, Buffer.from('y'), large);
    const { initial, status: ended } = await outcome;
    assert.ok(initial !== undefined);
    assertLarge(initial);
    assertLarge(ended.metadata);
  });

  await t.test(
    'binary values joined by commas, with padding and without, as other implementations send them',
    async (t) => {
      const session = await connectHttp2(t, socket);
      const exchange = new Exchange(session, {
        ':method': 'POST',
        ':path': '/interop.Test/Unary',
        'content-type': 'application/grpc',
        te: 'trailers',
        'x-joined-bin': 'AQI=,AwQ,,/+8=',
        'x-pieces-bin': ['AQI=', 'AwQ'],
      });
      exchange.stream.end(Buffer.from('000000000131', 'hex'));
      const { call, answer } = await server.unary.take();
      assert.equal(call.request.toString(), '1');
      const [joined, pieces] = [call.metadata.get('x-joined-bin'), call.metadata.get('x-pieces-bin')];
      assert.deepEqual(joined, [Buffer.from([1, 2]), Buffer.from([3, 4]), Buffer.alloc(0), Buffer.from([255, 239])]);
      assert.deepEqual(pieces, [Buffer.from([1, 2]), Buffer.from([3, 4])]);
      answer(null, Buffer.from('2'));
      const { headers, body, trailers } = await exchange.over;
      assert.equal(headers[':status'], 200);
      assert.deepEqual(body, Buffer.from('000000000132', 'hex'));
      assert.equal(trailers['grpc-status'], '0');
    },
  );
});
