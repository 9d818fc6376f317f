import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { ExchangeHead, ExchangeWatch, ResponseWatch } from '../../../../src/dataplane/http1/body-watch.ts';
import { rejection } from '../../../../src/domain/rejection.ts';
import { Http1Hop } from '../../../support/http1-hop.ts';
import { pollUntil } from '../../../support/poll-until.ts';
import { valuesOf } from '../../../support/strict-http1.ts';

const NO = rejection('TOOLS_DRIFT', 'another tool');
const post = (body: string, more = '') =>
  `POST /mcp HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n${more}Content-Length: ${body.length}\r\n\r\n${body}`;

async function watched(t: TestContext, watch: Partial<ExchangeWatch>) {
  const hop = await Http1Hop.start(t);
  hop.audience = 'own agent';
  const heads: ExchangeHead[] = [];
  hop.bodyWatch = {
    open: (head) => {
      heads.push(head);
      return { requestLimit: 0, response: () => undefined, ...watch };
    },
  };
  return { hop, heads };
}

test('a body is handed over whole before anything goes on, and may be replaced', async (t) => {
  const { hop, heads } = await watched(t, {
    requestLimit: 100,
    request: (body) => ({ ok: true, body: Buffer.from(`<${body.toString()}>`) }),
  });
  const caller = hop
    .connect()
    .write('POST /mcp HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n');
  await pollUntil(
    () => heads.length,
    (count) => count === 1,
  );
  assert.equal(hop.callee.bytes.length, 0);
  assert.equal((await caller.write('3\r\nend\r\n0\r\n\r\n').answer()).status, 200);
  const [taken] = hop.callee.taken;
  assert.equal(taken?.body.toString(), '<firstend>');
  assert.deepEqual(valuesOf(taken?.headers ?? [], 'content-length'), ['10']);
  assert.deepEqual([heads[0]?.method, heads[0]?.path], ['POST', '/mcp']);
});

test('a body that is refused, or too long, never reaches the callee', async (t) => {
  const { hop } = await watched(t, { requestLimit: 10, request: () => ({ ok: false, rejection: NO }) });
  const caller = hop.connect();
  assert.deepEqual((await caller.write(post('short')).answer()).problem().code, 'TOOLS_DRIFT');
  const tooLong = await caller.write(post('x'.repeat(11))).answer();
  assert.deepEqual([tooLong.status, tooLong.problem().code], [413, 'CALL_BODY_TOO_LARGE']);
  assert.equal(hop.callee.bytes.length, 0);
  assert.equal(hop.policy.ended_.length, 2);
});

test('a caller that waits for a 100 is told to go on where its body has to be read first', async (t) => {
  const { hop } = await watched(t, { requestLimit: 10, request: (body) => ({ ok: true, body }) });
  const caller = hop
    .connect()
    .write('POST /mcp HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n');
  assert.equal((await caller.answer()).status, 100);
  assert.equal((await caller.write('body').answer()).status, 200);
  assert.deepEqual(valuesOf(hop.callee.taken[0]?.headers ?? [], 'expect'), []);
});

const whole = (judge: ResponseWatch): Partial<ExchangeWatch> => ({ response: () => judge });

test('a whole answer may be replaced, with its length; it is asked for without a content coding', async (t) => {
  const { hop } = await watched(
    t,
    whole({ kind: 'whole', limit: 100, body: (body) => ({ ok: true, body: Buffer.from(body.toString().repeat(2)) }) }),
  );
  const answer = await hop.connect().write(post('x')).answer();
  assert.deepEqual([answer.body.toString(), answer.header('content-length')], ['okok', '4']);
  assert.deepEqual(valuesOf(hop.callee.taken[0]?.headers ?? [], 'accept-encoding'), ['identity']);
});

test('an answer that is refused is answered with the reason instead', async (t) => {
  const { hop } = await watched(t, whole({ kind: 'whole', limit: 100, body: () => ({ ok: false, rejection: NO }) }));
  const answer = await hop.connect().write(post('x')).answer();
  assert.deepEqual([answer.status, answer.problem().code], [403, 'TOOLS_DRIFT']);
});

test('an answer that has a content coding all the same is refused, unread', async (t) => {
  const { hop } = await watched(t, whole({ kind: 'whole', limit: 100, body: (body) => ({ ok: true, body }) }));
  hop.callee.onRequest = ({ socket }) =>
    socket.write('HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 1\r\n\r\nx');
  const answer = await hop.connect().write(post('x')).answer();
  assert.deepEqual([answer.status, answer.problem().code], [502, 'CALL_ANSWER_UNREADABLE']);
});

test('events are judged one by one, and the first that is refused ends the stream', async (t) => {
  const { hop } = await watched(
    t,
    whole({
      kind: 'events',
      limit: 100,
      event: (event) => (event.includes('bad') ? { ok: false, rejection: NO } : { ok: true, body: event }),
    }),
  );
  hop.callee.onRequest = ({ socket }) => {
    socket.write('HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: good\n\ndata: ba');
  };
  const caller = hop.connect().write(post('x'));
  await caller.until('data: good\n\n');
  assert.ok(!caller.received.includes('data: ba'));
  hop.callee.taken[0]!.socket.write('d\n\n');
  await caller.closed;
  assert.ok(!caller.received.includes('bad'));
  assert.equal(hop.policy.ended_[0]?.outcome.rejection?.code, 'TOOLS_DRIFT');
});
