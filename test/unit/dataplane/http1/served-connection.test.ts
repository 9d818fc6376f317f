import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Http1Hop } from '../../../support/http1-hop.ts';
import { pollUntil } from '../../../support/poll-until.ts';
import { OK } from '../../../support/raw-http1.ts';

const GET = 'GET /x HTTP/1.1\r\nHost: a\r\n\r\n';

test('a head that does not come to its end is refused in time, be it the first or a later one', async (t) => {
  const hop = await Http1Hop.start(t);
  hop.audience = 'own agent';
  const first = hop.connect().write('GET / HTTP/1.1\r\nHost: ');
  const later = hop.connect().write(GET);
  await later.answer();
  later.write('GET / HT');
  await pollUntil(
    () => hop.served.length,
    (count) => count === 2,
  );
  await pollUntil(
    () => (hop.pass(0), hop.served.length),
    () => true,
  );
  hop.pass(9_000);
  assert.deepEqual(hop.refusals, []);
  await new Promise((resolve) => setTimeout(resolve, 50));
  hop.pass(0);
  hop.pass(10_001);
  for (const caller of [first, later]) {
    const answer = await caller.answer();
    assert.deepEqual([answer.status, answer.problem().code], [408, 'PREFACE_TIMEOUT']);
    await caller.closed;
  }
  assert.equal(hop.refusals.length, 2);
});

test('a connection that waits for its next request may wait', async (t) => {
  const hop = await Http1Hop.start(t);
  const caller = hop.connect().write(GET);
  await caller.answer();
  for (let hour = 0; hour < 3; hour += 1) hop.pass(3_600_000);
  assert.equal((await caller.write(GET).answer()).status, 200);
});

test('what Node does not read is answered and counted, and is the last on its connection', async (t) => {
  const hop = await Http1Hop.start(t);
  hop.audience = 'own agent';
  const caller = hop.connect().write(GET);
  await caller.answer();
  const answer = await caller.write('GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n').answer();
  assert.deepEqual(
    [answer.status, answer.problem().code, answer.header('connection')],
    [400, 'HTTP1_MALFORMED', 'close'],
  );
  await caller.closed;
  assert.equal(hop.refusals[0]?.correlationId, answer.problem().correlation_id);
  assert.equal(hop.callee.taken.length, 1);
});

test('a body that breaks the rules is never whole for the callee', async (t) => {
  const hop = await Http1Hop.start(t);
  const head = 'POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n';
  const caller = hop.connect().write(`${head}4\r\nfine\r\n`);
  await pollUntil(
    () => hop.callee.bytes.includes('fine'),
    (has) => has,
  );
  const answer = await caller.write('4\r\nthis is longer\r\n0\r\n\r\n').answer();
  assert.equal(answer.status, 400);
  await caller.closed;
  assert.equal(hop.callee.taken.length, 0);
  const [ended] = hop.policy.ended_;
  assert.equal(ended?.outcome.rejection?.code, 'HTTP1_MALFORMED');
});

test('bytes behind a request that is under way end it: nobody knows what its answer would be to', async (t) => {
  const hop = await Http1Hop.start(t);
  hop.callee.onRequest = () => undefined;
  const caller = hop.connect().write(GET);
  await pollUntil(
    () => hop.callee.taken.length,
    (count) => count === 1,
  );
  caller.write('\0\0\0');
  assert.equal((await caller.answer()).status, 400);
  await caller.closed;
  assert.equal(hop.policy.ended_.length, 1);
});

test('asked to finish, it answers what is under way, says that it was the last, and closes', async (t) => {
  const hop = await Http1Hop.start(t);
  hop.callee.onRequest = () => undefined;
  const caller = hop.connect().write(GET);
  await pollUntil(
    () => hop.callee.taken.length,
    (count) => count === 1,
  );
  hop.served[0]!.finish();
  hop.served[0]!.finish();
  hop.pass(60_000);
  hop.callee.taken[0]!.socket.write(OK);
  assert.equal((await caller.answer()).status, 200);
  await caller.closed;
  assert.equal(await hop.served[0]!.over, 'finished');
});

test('asked to finish while nothing is under way, it closes once it is quiet', async (t) => {
  const hop = await Http1Hop.start(t);
  const caller = hop.connect().write(GET);
  await caller.answer();
  hop.served[0]!.finish();
  assert.equal((await caller.write(GET).answer()).status, 200, 'what was on its way is answered');
  await caller.closed;
});

test('connections that wait for work age, and are closed; a connection that may not be used is not', async (t) => {
  const hop = await Http1Hop.start(t);
  const ask = async () => {
    const caller = hop.connect().write(GET);
    await caller.answer();
    caller.socket.destroy();
  };
  await ask();
  hop.pass(14_000);
  hop.tidy();
  await ask();
  assert.equal(hop.channels.length, 1);
  hop.pass(15_001);
  hop.tidy();
  assert.equal(await hop.channels[0]!.over, 'finished');
  await ask();
  assert.equal(hop.channels.length, 2);
  hop.mayUse = (channel) => channel !== hop.channels[1];
  hop.tidy();
  await ask();
  assert.equal(hop.channels.length, 3);
  assert.equal(await hop.channels[1]!.over, 'finished');
});

test('CONNECT is refused', async (t) => {
  const hop = await Http1Hop.start(t);
  hop.audience = 'own agent';
  const caller = hop.connect().write('CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n');
  const answer = await caller.answer();
  assert.deepEqual([answer.status, answer.problem().code], [501, 'UPGRADE_REFUSED']);
  await caller.closed;
});

test('a request that breaks the rules while a connection for it is being made is told and counted, too', async (t) => {
  const hop = await Http1Hop.start(t);
  const head = 'POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n';
  const answer = await hop.connect().write(`${head}nonsense\r\n`).answer();
  assert.equal(answer.status, 400);
  assert.deepEqual(
    hop.refusals.map(({ rejection, httpStatus }) => [rejection.code, httpStatus]),
    [['HTTP1_MALFORMED', 400]],
  );
  assert.equal(hop.policy.started_.length, 0);
});
