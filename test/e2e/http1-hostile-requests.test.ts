import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Attacker } from '../support/attacker.ts';
import { dataOf, openData } from '../support/hostile-data.ts';
import { bytesOf, HOSTILE_REQUESTS } from '../support/hostile-requests.ts';
import { Http1Mesh } from '../support/http1-mesh.ts';
import { valuesOf, type StrictMessage } from '../support/strict-http1.ts';

test('there are at least 100 malformed requests', () => {
  assert.ok(HOSTILE_REQUESTS.filter(({ status }) => status !== 200).length >= 100);
});

test('a hostile agent: each request is refused with its status, a cause and a fix, and none reaches the callee', async (t) => {
  const world = await Http1Mesh.start(t);
  const { planner, server } = world;
  for (const hostile of HOSTILE_REQUESTS) {
    await t.test(hostile.name, async () => {
      const [taken, received] = [server.taken.length, server.bytes.length];
      const caller = world.connect().write(bytesOf(hostile));
      const answer = await caller.answer();
      assert.equal(answer.status, hostile.status, answer.body.toString());
      if (hostile.status !== 200) {
        assert.equal(answer.header('content-type'), 'application/problem+json');
        const { code, detail = '', action = '', correlation_id: id } = answer.problem();
        assert.equal(answer.header('x-ait-refused'), code);
        assert.ok(detail.length > 20 && action.length > 20, 'it names the cause and the fix');
        assert.equal(answer.header('x-ait-correlation-id'), id);
        await caller.closed;
      }
      await world.planner.status();
      caller.socket.destroy();
      assert.deepEqual(server.problems, [], 'what the callee got can be read in one way only');
      const whole = hostile.reaches === 'whole' ? 1 : 0;
      assert.equal(server.taken.length - taken, whole, 'complete requests that reached the callee');
      if (hostile.reaches === undefined) assert.equal(server.bytes.length, received, 'not a byte passed');
      if (whole === 1) assertOrderly(server.taken.at(-1)!);
    });
  }

  await t.test('both sidecars are the processes that they were, and the next request passes', async () => {
    assert.equal((await world.call('/after')).status, 200);
    assert.deepEqual([planner.processes.length, world.researcher.processes.length], [1, 1]);
  });

  await t.test('each is counted, and on record', async () => {
    const refused = HOSTILE_REQUESTS.filter(({ status }) => status === 400).length;
    const counted = await planner.metric('ait_calls_total', { peer: 'researcher', code: '4xx', source: 'sidecar' });
    assert.ok(counted >= refused, `${counted} of ${refused}`);
    assert.ok((await planner.codes()).includes('HTTP1_MALFORMED'));
  });
});

test('a hostile peer, past its own sidecar: the sidecar of the callee refuses each by itself', async (t) => {
  const world = await Http1Mesh.start(t);
  const { planner, researcher, server } = world;
  const attacker = await Attacker.of(t, world.mesh);
  const exchange = await attacker.admitted(researcher.inbound, attacker.member('planner', planner.measurement));
  for (const hostile of HOSTILE_REQUESTS) {
    await t.test(hostile.name, async () => {
      const [taken, received] = [server.taken.length, server.bytes.length];
      const data = await openData(attacker, researcher.inbound, dataOf(exchange));
      assert.equal(await data.answer(), 'accepted');
      data.socket.write(bytesOf(hostile));
      const answer = (await data.payload('HTTP/1.1 xxx'.length)).toString('latin1');
      assert.equal(Number(answer.slice(9, 12)), hostile.status, answer);
      if (hostile.status !== 200) await data.closed;
      const told = data.received.toString('latin1');
      assert.ok(!told.includes('HTTP1_'), 'a peer hears the coarse reason only');
      data.socket.destroy();
      assert.deepEqual(server.problems, []);
      const whole = hostile.reaches === 'whole' ? 1 : 0;
      assert.equal(server.taken.length - taken, whole, 'complete requests that reached the callee');
      if (hostile.reaches === undefined) assert.equal(server.bytes.length, received, 'not a byte passed');
      if (whole === 1) assertOrderly(server.taken.at(-1)!);
    });
  }
  await t.test('CONNECT, which only the sidecar of a caller understands', async () => {
    const data = await openData(attacker, researcher.inbound, dataOf(exchange));
    assert.equal(await data.answer(), 'accepted');
    const received = server.bytes.length;
    data.socket.write('CONNECT researcher.mesh:80 HTTP/1.1\r\nHost: researcher.mesh:80\r\n\r\nGET / HTTP/1.1\r\n\r\n');
    const answer = (await data.payload('HTTP/1.1 xxx'.length)).toString('latin1');
    assert.equal(Number(answer.slice(9, 12)), 501, answer);
    await data.closed;
    assert.equal(server.bytes.length, received);
  });
  exchange.destroy();

  await t.test('the process is the one that it was, and serves', async () => {
    assert.equal((await world.call('/after')).status, 200);
    assert.equal(researcher.processes.length, 1);
    assert.ok((await researcher.codes()).includes('HTTP1_MALFORMED'));
  });
});

/** What only sidecars say is said once and truly; nothing of the connection, or of another message, went on. */
function assertOrderly({ headers, trailers, line }: StrictMessage): void {
  assert.match(line, /^(?:GET|POST) \/(?:x|\?q)? HTTP\/1\.1$/);
  assert.deepEqual(valuesOf(headers, 'x-ait-peer-agent'), ['planner']);
  const ours = new Set(['x-ait-peer-spiffe-id', 'x-ait-peer-agent', 'x-ait-peer-instance', 'x-ait-peer-baseline']);
  for (const [name] of [...headers, ...trailers]) {
    const lower = name.toLowerCase();
    assert.ok(!/^x[^a-z0-9]ait/.test(lower) || ours.has(lower), name);
    assert.ok(
      !['connection', 'keep-alive', 'upgrade', 'http2-settings', 'x-mine', 'te', 'authorization'].includes(lower),
      name,
    );
  }
  assert.equal(valuesOf(headers, 'traceparent').length, 1);
}
