import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Metadata, status } from '@grpc/grpc-js';
import { connectHttp2, Exchange } from '../support/http2-exchange.ts';
import { meshBefore } from '../support/mesh-before.ts';
import { ScriptedCaller, ScriptedServer } from '../support/scripted-grpc.ts';

/** As a `google.rpc.Status` in bytes; to everybody on the way they mean nothing. */
const DETAILS = Buffer.concat([Buffer.from('08091203', 'hex'), Buffer.from('no!'), Buffer.from([0, 255, 128, 10, 13])]);

function withDetails(): Metadata {
  const metadata = new Metadata();
  metadata.set('grpc-status-details-bin', DETAILS);
  metadata.set('x-reason', 'the moon');
  return metadata;
}

test('grpc-js on both sides, through two sidecars: errors with all that belongs to them', async (t) => {
  const server = await ScriptedServer.start(t);
  const socket = await meshBefore(t, server.address);
  const caller = new ScriptedCaller(t, socket);

  await t.test('every status code there is, with its text', async () => {
    for (let code = status.CANCELLED; code <= status.UNAUTHENTICATED; code += 1) {
      const { outcome } = caller.unary(Buffer.from('x'));
      const { answer } = await server.unary.take();
      answer({ code, details: `about ${status[code]}` });
      const { messages, status: ended } = await outcome;
      assert.equal(ended.code, code);
      assert.equal(ended.details, `about ${status[code]}`);
      assert.deepEqual(messages, []);
    }
  });

  await t.test('a text of any characters', async () => {
    const details = 'Zürich: 100 % "sicher"\n\t→ 🚀, a%20b\0c';
    const { outcome } = caller.unary(Buffer.from('x'));
    (await server.unary.take()).answer({ code: status.INTERNAL, details });
    const { status: ended } = await outcome;
    assert.equal(ended.details, details);
  });

  await t.test('trailers only, with details in binary: of each type of call', async () => {
    const error = { code: status.FAILED_PRECONDITION, details: 'not today', metadata: withDetails() };
    const calls = [
      async () => {
        const { outcome } = caller.unary(Buffer.from('x'));
        (await server.unary.take()).answer(error);
        return outcome;
      },
      async () => {
        const { call, outcome } = caller.collect();
        call.write(Buffer.from('x'));
        (await server.collect.take()).answer(error);
        return outcome;
      },
      async () => {
        const { outcome } = caller.list(Buffer.from('x'));
        (await server.list.take()).emit('error', error);
        return outcome;
      },
      async () => {
        const { call, outcome } = caller.chat();
        call.write(Buffer.from('x'));
        (await server.chat.take()).emit('error', error);
        return outcome;
      },
    ];
    for (const make of calls) {
      const { messages, status: ended } = await make();
      assert.deepEqual(messages, []);
      assert.equal(ended.code, status.FAILED_PRECONDITION);
      assert.equal(ended.details, 'not today');
      assert.deepEqual(ended.metadata.get('grpc-status-details-bin'), [DETAILS]);
      assert.deepEqual(ended.metadata.get('x-reason'), ['the moon']);
    }
  });

  await t.test('trailers only is one block of headers that ends the stream', async (t) => {
    const session = await connectHttp2(t, socket);
    const exchange = new Exchange(session, {
      ':method': 'POST',
      ':path': '/interop.Test/Unary',
      'content-type': 'application/grpc+proto',
      te: 'trailers',
    });
    exchange.stream.end(Buffer.from('000000000131', 'hex'));
    const { answer } = await server.unary.take();
    answer({ code: status.NOT_FOUND, details: 'no such thing', metadata: withDetails() });
    const { headers, endedByHeaders, body, trailers } = await exchange.over;
    assert.equal(endedByHeaders, true);
    assert.equal(headers[':status'], 200);
    assert.match(String(headers['content-type']), /^application\/grpc/);
    assert.equal(headers['grpc-status'], '5');
    assert.equal(decodeURIComponent(String(headers['grpc-message'])), 'no such thing');
    assert.deepEqual(Buffer.from(String(headers['grpc-status-details-bin']), 'base64'), DETAILS);
    assert.equal(body.length, 0);
    assert.deepEqual(trailers, {});
  });

  await t.test('after some answers: those arrive, then the error with its details', async () => {
    const { outcome } = caller.list(Buffer.from('x'));
    const taken = await server.list.take();
    const initial = new Metadata();
    initial.set('x-begun', 'yes');
    taken.sendMetadata(initial);
    for (const text of ['a', 'b', 'c']) taken.write(Buffer.from(text));
    taken.emit('error', { code: status.DATA_LOSS, details: 'the rest is gone', metadata: withDetails() });
    const { initial: begun, messages, status: ended } = await outcome;
    assert.deepEqual(begun?.get('x-begun'), ['yes']);
    assert.deepEqual(Buffer.concat(messages).toString(), 'abc');
    assert.equal(ended.code, status.DATA_LOSS);
    assert.equal(ended.details, 'the rest is gone');
    assert.deepEqual(ended.metadata.get('grpc-status-details-bin'), [DETAILS]);
  });

  await t.test('a method that does not exist: UNIMPLEMENTED, by the server', async () => {
    const error = await new Promise<{ code?: number; details?: string } | null>((resolve) => {
      const same = (buffer: Buffer) => buffer;
      caller.client.makeUnaryRequest('/interop.Test/Nowhere', same, same, Buffer.alloc(1), resolve);
    });
    assert.equal(error?.code, status.UNIMPLEMENTED);
    assert.match(String(error.details), /Nowhere/);
  });
});
