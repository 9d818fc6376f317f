import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { rejection } from '../../../../src/domain/rejection.ts';
import { Http1Hop } from '../../../support/http1-hop.ts';
import { pollUntil } from '../../../support/poll-until.ts';
import { OK } from '../../../support/raw-http1.ts';
import { valuesOf } from '../../../support/strict-http1.ts';

const get = (path = '/x', more = '') => `GET ${path} HTTP/1.1\r\nHost: a\r\n${more}\r\n`;
const post = (body: string, more = '') =>
  `POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n${more}\r\n${body}`;

const closed = (socket: Socket) => new Promise((resolve) => socket.once('close', resolve));

test('a call is decided, carried, told who calls and how it ended', async (t) => {
  const hop = await Http1Hop.start(t);
  const answer = await hop.connect().write(post('hello', 'X-Ait-Peer-Agent: admin\r\n')).answer();
  assert.deepEqual([answer.status, answer.body.toString()], [200, 'ok']);
  const [taken] = hop.callee.taken;
  assert.equal(taken?.body.toString(), 'hello');
  assert.deepEqual(valuesOf(taken?.headers ?? [], 'x-ait-peer-agent'), ['planner']);
  assert.equal(valuesOf(taken?.headers ?? [], 'traceparent').length, 1);
  const { call, outcome } = hop.policy.ended_[0]!;
  assert.deepEqual([call.request.method, call.request.path, call.label], ['POST', '/x', 'any']);
  const { httpStatus, source, requestBytes, responseBytes, cancelled } = outcome;
  assert.deepEqual(
    { httpStatus, source, requestBytes, responseBytes, cancelled },
    {
      httpStatus: 200,
      source: 'app',
      requestBytes: 5,
      responseBytes: 2,
      cancelled: false,
    },
  );
  assert.deepEqual([hop.policy.started_.length, hop.policy.heldTimes], [1, 1]);
});

test('one connection to the callee serves one caller after the other, and as many as call at once get one each', async (t) => {
  const hop = await Http1Hop.start(t);
  for (let round = 0; round < 3; round += 1) {
    const caller = hop.connect();
    assert.equal((await caller.write(get()).answer()).status, 200);
    assert.equal((await caller.write(get()).answer()).status, 200);
    caller.socket.destroy();
  }
  assert.deepEqual([hop.callee.taken.length, hop.channels.length], [6, 1]);
  const waiting = hop.callee.taken.length;
  hop.callee.onRequest = () => undefined;
  const [one, other] = [hop.connect().write(get()), hop.connect().write(get())];
  await pollUntil(
    () => hop.callee.taken.length,
    (count) => count === waiting + 2,
  );
  for (const { socket } of hop.callee.taken.slice(waiting)) socket.write(OK);
  await Promise.all([one.answer(), other.answer()]);
  assert.equal(hop.channels.length, 2);
});

test('requests that were sent ahead are answered in order, one at a time', async (t) => {
  const hop = await Http1Hop.start(t);
  let open = 0;
  hop.callee.onRequest = ({ socket, line }) => {
    open += 1;
    assert.equal(open, 1, 'not before the one before was answered');
    setImmediate(() => {
      open -= 1;
      const path = line.split(' ')[1] ?? '';
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${path.length}\r\n\r\n${path}`);
    });
  };
  const paths = Array.from({ length: 40 }, (_, index) => `/${index}`);
  const caller = hop.connect().write(paths.map((path) => get(path)).join(''));
  for (const path of paths) assert.equal((await caller.answer()).body.toString(), path);
});

test('an answer that is refused has the reason in it, and the callee hears nothing', async (t) => {
  const hop = await Http1Hop.start(t);
  hop.audience = 'own agent';
  hop.policy.decision = () => ({
    permitted: false,
    label: 'any',
    rejection: rejection('CALL_NOT_GRANTED', 'no grant'),
  });
  const caller = hop.connect();
  const answer = await caller.write(post('body')).answer();
  assert.deepEqual([answer.status, answer.problem().code], [403, 'CALL_NOT_GRANTED']);
  assert.match(answer.problem().detail ?? '', /no grant/);
  assert.equal((await caller.write(get()).answer()).status, 403, 'the connection goes on');
  assert.equal(hop.callee.bytes.length, 0);
  assert.deepEqual(hop.policy.started_, []);
  assert.equal(hop.policy.ended_[0]?.outcome.source, 'sidecar');
});

test('a peer hears the coarse reason only', async (t) => {
  const hop = await Http1Hop.start(t);
  hop.policy.decision = () => ({
    permitted: false,
    label: 'any',
    rejection: rejection('SYSTEM_PROMPT_DRIFT', 'digest'),
  });
  const answer = await hop.connect().write(get()).answer();
  assert.equal(answer.problem().code, 'DRIFT');
  assert.ok(!answer.body.includes('digest') && !answer.body.includes('PROMPT'));
});

test('without a connection to the callee the answer says why, and somebody is told', async (t) => {
  const hop = await Http1Hop.start(t);
  hop.unplaced = rejection('PEER_UNREACHABLE', 'nobody there');
  const answer = await hop.connect().write(get()).answer();
  assert.equal(answer.status, 503);
  const [refused] = hop.refusals;
  assert.deepEqual(
    [refused?.rejection.code, refused?.httpStatus, refused?.request?.path],
    ['PEER_UNREACHABLE', 503, '/x'],
  );
  assert.equal(refused?.correlationId, answer.header('x-ait-correlation-id'));
});

test('an event goes on when it comes, and does not wait for the next', async (t) => {
  const hop = await Http1Hop.start(t);
  hop.callee.onRequest = ({ socket }) => {
    socket.write('HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n');
  };
  const caller = hop.connect().write(get());
  await caller.until('event-stream');
  const [{ socket } = assert.fail('no request')] = hop.callee.taken;
  for (const event of ['data: 1\n\n', 'data: 2\n\n']) {
    socket.write(`${event.length.toString(16)}\r\n${event}\r\n`);
    await caller.until(event);
  }
  socket.write('0\r\nX-Sum: 1\r\n\r\n');
  const answer = await caller.answer();
  assert.equal(answer.body.toString(), 'data: 1\n\ndata: 2\n\n');
  assert.deepEqual(answer.trailers, [['X-Sum', '1']]);
});

test('a caller that waits for a 100 gets it from the callee, and only then the body goes', async (t) => {
  const hop = await Http1Hop.start(t);
  hop.callee.onHead = (head, socket) => {
    assert.match(head, /Expect: 100-continue/);
    socket.write('HTTP/1.1 100 Continue\r\n\r\n');
  };
  const caller = hop
    .connect()
    .write('POST /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n');
  assert.equal((await caller.answer()).status, 100);
  assert.equal(hop.callee.taken.length, 0);
  assert.equal((await caller.write('body').answer()).status, 200);
  assert.equal(hop.callee.taken[0]?.body.toString(), 'body');
});

test("a callee that refuses ahead of the body is heard, and the rest of the body is nobody's", async (t) => {
  const hop = await Http1Hop.start(t);
  hop.callee.onHead = (_head, socket) => socket.write('HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n');
  const caller = hop.connect().write('POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nbegun');
  assert.equal((await caller.answer()).status, 413);
  hop.callee.onHead = () => undefined;
  assert.equal((await caller.write('x'.repeat(99_995)).write(get()).answer()).status, 200);
  assert.equal(hop.channels.length, 2, 'the connection with the half request on it is not used again');
});

test('early hints and what else comes ahead go on', async (t) => {
  const hop = await Http1Hop.start(t);
  hop.callee.onRequest = ({ socket }) => {
    socket.write('HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n');
    socket.write(`HTTP/1.1 103 Early Hints\r\nLink: not a link at all\r\n\r\n${OK}`);
  };
  const caller = hop.connect().write(get());
  assert.deepEqual([(await caller.answer()).status, (await caller.answer()).status], [102, 103]);
  assert.equal((await caller.answer()).status, 200, 'and nothing that Node would stumble over');
});

test('the answer to HEAD has the length of what it stands for, and no body', async (t) => {
  const hop = await Http1Hop.start(t);
  hop.callee.onRequest = ({ socket }) => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n');
  const caller = hop.connect().write('HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n');
  const answer = await caller.answer({ isBodiless: true });
  assert.deepEqual([answer.status, answer.header('content-length')], [200, '5000']);
  hop.callee.onRequest = ({ socket }) => socket.write(OK);
  assert.equal((await caller.write(get()).answer()).body.toString(), 'ok');
  assert.equal(hop.channels.length, 1);
});

test('a caller that goes away is gone for the callee, too', async (t) => {
  const hop = await Http1Hop.start(t);
  hop.callee.onRequest = () => undefined;
  const caller = hop.connect().write(get());
  await pollUntil(
    () => hop.callee.taken.length,
    (count) => count === 1,
  );
  const gone = closed(hop.callee.taken[0]!.socket);
  caller.socket.destroy();
  await gone;
  assert.equal(hop.policy.ended_[0]?.outcome.cancelled, true);
});

test('a callee that breaks off has its answer broken off, so that nobody takes it for whole', async (t) => {
  const hop = await Http1Hop.start(t);
  hop.callee.onRequest = ({ socket }) => {
    socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n', () => socket.destroy());
  };
  const caller = hop.connect().write(get());
  await caller.closed;
  assert.ok(!caller.received.includes('0\r\n\r\n'));
  const { outcome } = hop.policy.ended_[0]!;
  assert.deepEqual([outcome.rejection?.code, outcome.resetCode !== undefined], ['APP_UNREACHABLE', true]);
});

for (const [name, request, times] of [
  ['GET is asked again', get(), 2],
  ['POST is not', post('body'), 1],
] as const) {
  test(`a kept connection that dies of the next request: ${name}`, async (t) => {
    const hop = await Http1Hop.start(t);
    const caller = hop.connect();
    await caller.write(get('/first')).answer();
    let asked = 0;
    hop.callee.onRequest = ({ socket }) => {
      asked += 1;
      if (asked === 1) socket.destroy();
      else socket.write(OK);
    };
    const answer = await caller.write(request).answer();
    assert.deepEqual([answer.status, asked], [times === 2 ? 200 : 503, times]);
    assert.equal(hop.policy.ended_.length, hop.policy.started_.length, 'each that was started has ended');
  });
}

test('a first request on a new connection is never sent twice', async (t) => {
  const hop = await Http1Hop.start(t);
  hop.callee.onRequest = ({ socket }) => socket.destroy();
  assert.equal((await hop.connect().write(get()).answer()).status, 503);
  assert.equal(hop.callee.taken.length, 1);
});

for (const [name, bytes] of [
  ['is none', 'nonsense\r\n\r\n'],
  ['could be two', 'HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx'],
] as const) {
  test(`an answer that ${name} is not passed on: 502`, async (t) => {
    const hop = await Http1Hop.start(t);
    hop.audience = 'own agent';
    hop.callee.onRequest = ({ socket }) => socket.write(bytes);
    const answer = await hop.connect().write(get()).answer();
    assert.deepEqual([answer.status, answer.problem().code], [502, 'HTTP1_ANSWER_MALFORMED']);
    assert.equal(hop.policy.violations.length, 1);
  });
}

test("bytes behind an answer are nobody's, above all not the next caller's", async (t) => {
  const hop = await Http1Hop.start(t);
  hop.callee.onRequest = ({ socket }) => socket.write(`${OK}HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison`);
  assert.equal((await hop.connect().write(get()).answer()).body.toString(), 'ok');
  hop.callee.onRequest = ({ socket }) => socket.write(OK);
  assert.equal((await hop.connect().write(get()).answer()).body.toString(), 'ok');
  assert.equal(hop.channels.length, 2);
});

test('permissions that change cut what is under way: with an answer as long as there was none', async (t) => {
  const hop = await Http1Hop.start(t);
  hop.callee.onRequest = () => undefined;
  const [waiting, answered] = [hop.connect().write(get('/waiting')), hop.connect().write(get('/answered'))];
  await pollUntil(
    () => hop.callee.taken.length,
    (count) => count === 2,
  );
  const half = hop.callee.taken.find(({ line }) => line.includes('answered'))!;
  half.socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n');
  await answered.until('\r\nx\r\n');
  for (const channel of hop.channels) channel.reconsider();
  assert.equal(hop.policy.ended_.length, 0, 'nothing changed yet');
  hop.policy.decision = () => ({
    permitted: false,
    label: 'any',
    rejection: rejection('CALL_NOT_GRANTED', 'withdrawn'),
  });
  const gone = Promise.all(hop.callee.taken.map(({ socket }) => closed(socket)));
  for (const channel of hop.channels) channel.reconsider();
  assert.equal((await waiting.answer()).status, 403);
  await answered.closed;
  await gone;
  assert.equal(hop.policy.ended_.length, 2);
});

test('a reader that takes nothing holds the callee back, and is cut after a while', async (t) => {
  const hop = await Http1Hop.start(t);
  hop.stallMs = 1000;
  let written = 0;
  hop.callee.onRequest = ({ socket }) => {
    socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n');
    const chunk = Buffer.from(`10000\r\n${'x'.repeat(65_536)}\r\n`);
    const more = () => {
      while (!socket.destroyed && written < 200e6 && socket.write(chunk)) written += chunk.length;
      socket.once('drain', more);
    };
    more();
  };
  const caller = hop.connect().write(get());
  await caller.until('xxxx');
  caller.socket.pause();
  await pollUntil(
    () => written,
    (() => {
      let before = -1;
      return (now: number) => {
        const same = now === before;
        before = now;
        return same;
      };
    })(),
    { everyMs: 200 },
  );
  assert.ok(written < 30e6, `${written} bytes were taken from the callee`);
  hop.pass(0);
  hop.pass(1100);
  assert.equal(hop.policy.ended_[0]?.outcome.rejection?.code, 'CALL_STALLED');
});

test('a body of which nothing more comes is given up; one that is being answered already is not', async (t) => {
  const hop = await Http1Hop.start(t);
  hop.stallMs = 1000;
  const upload = (path: string) =>
    hop.connect().write(`POST ${path} HTTP/1.1\r\nhost: callee\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n`);
  const heads: string[] = [];
  hop.callee.onHead = (head, socket) => {
    heads.push(head);
    if (!head.includes('answered')) return;
    socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n');
  };
  hop.callee.onRequest = ({ socket }) => socket.write('0\r\n\r\n');
  const [silent, answered] = [upload('/silent'), upload('/answered')];
  await answered.until('\r\nx\r\n');
  await pollUntil(
    () => heads.length,
    (count) => count === 2,
  );
  hop.pass(0);
  hop.pass(900);
  assert.equal(hop.policy.ended_.length, 0, 'not yet');
  hop.pass(200);
  assert.equal((await silent.answer()).status, 503);
  const [ended] = hop.policy.ended_;
  assert.equal(ended?.outcome.rejection?.code, 'CALL_STALLED');
  assert.equal(ended.outcome.rejection.detail, 'the caller has sent nothing of its body for 1000 ms');
  assert.equal(hop.policy.ended_.length, 1);
  answered.write('0\r\n\r\n');
  await pollUntil(
    () => hop.policy.ended_.length,
    (count) => count === 2,
  );
  assert.equal(hop.policy.ended_[1]?.outcome.httpStatus, 200);
});
