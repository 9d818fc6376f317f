import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Attacker } from '../support/attacker.ts';
import { dataOf, openData } from '../support/hostile-data.ts';
import { Http1Mesh } from '../support/http1-mesh.ts';
import { pollUntil } from '../support/poll-until.ts';

const get = (path: string, more = '') => `GET ${path} HTTP/1.1\r\nHost: researcher\r\n${more}\r\n`;

test('each request of HTTP/1.1 is decided by the grants, counted, and on record', async (t) => {
  const world = await Http1Mesh.start(t, {
    calls: ['GET /docs/**', 'POST /rpc'],
    planner: { access_log: true, calls: { methods: ['GET /health'] } },
  });
  const { planner, researcher, server } = world;
  const count = (labels: Record<string, string>, agent = planner) => agent.metric('ait_calls_total', labels);

  await t.test('what a grant names passes, under the name that it has there', async () => {
    assert.equal((await world.call('/docs/a?token=secret')).status, 200);
    assert.equal((await world.call('/rpc', { method: 'POST', body: '{}' })).status, 200);
    for (const agent of [planner, researcher]) {
      await pollUntil(
        () => count({ method: 'GET /docs/**', code: '2xx', source: 'app' }, agent),
        (found) => found === 1,
      );
      await pollUntil(
        () => count({ method: 'POST /rpc', code: '2xx', source: 'app' }, agent),
        (found) => found === 1,
      );
    }
    const line = await planner.waitFor('call', ({ path }) => path === '/docs/a');
    assert.deepEqual([line['method'], line['httpStatus'], line['source'], line['status']], ['GET', 200, 'app', '2xx']);
    assert.ok(!JSON.stringify(line).includes('secret'));
  });

  await t.test(
    'what none names is refused with the cause and the fix, on the same connection, and the callee never hears of it',
    async () => {
      const before = server.bytes.length;
      const caller = world.connect();
      for (const [request, code, status] of [
        [get('/admin'), 'CALL_NOT_GRANTED', 403],
        [get('/docs/%2e%2e/admin'), 'CALL_PATH_AMBIGUOUS', 400],
        [get('/docs//a'), 'CALL_PATH_AMBIGUOUS', 400],
        [get('/health'), 'CALL_NOT_GRANTED', 403],
        ['DELETE /docs/a HTTP/1.1\r\nHost: researcher\r\n\r\n', 'CALL_NOT_GRANTED', 403],
      ] as const) {
        const answer = await caller.write(request).answer();
        const problem = answer.problem();
        assert.deepEqual([answer.status, problem.code], [status, code]);
        assert.match(problem.action ?? '', /\w/);
        const decided = (await planner.decisions()).find(
          ({ correlationId }) => correlationId === problem.correlation_id,
        );
        assert.equal(decided?.rejection?.code, code);
      }
      caller.socket.destroy();
      assert.equal(server.bytes.length, before);
      assert.equal(await count({ method: 'GET /health', code: '4xx', source: 'sidecar' }), 1);
    },
  );

  await t.test("the callee's sidecar decides by itself, and tells a peer the coarse reason", async () => {
    const attacker = await Attacker.of(t, world.mesh);
    const exchange = await attacker.admitted(researcher.inbound, attacker.member('planner', planner.measurement));
    const before = server.bytes.length;
    const data = await openData(attacker, researcher.inbound, {
      ...dataOf(exchange),
      early: get('/admin', 'X-Ait-Peer-Agent: admin\r\n'),
    });
    assert.equal(await data.answer(), 'accepted');
    const text = await pollUntil(
      () => data.received.toString('latin1'),
      (said) => said.includes('correlation_id'),
    );
    assert.match(text, /HTTP\/1\.1 403 Forbidden\r\n/);
    assert.match(text, /x-ait-refused: NOT_PERMITTED\r\n/);
    assert.ok(!text.includes('CALL_NOT_GRANTED'));
    assert.equal(server.bytes.length, before);
    exchange.destroy();
  });

  await t.test(
    'a grant that is narrowed cuts what is under way: with an answer as long as there was none',
    async () => {
      server.onRequest = () => undefined;
      const [waiting, streaming] = [
        world.connect().write(get('/docs/waiting')),
        world.connect().write(get('/docs/streaming')),
      ];
      const open = await pollUntil(
        () => server.taken.filter(({ line }) => line.includes('ing ')),
        ({ length }) => length === 2,
      );
      open
        .find(({ line }) => line.includes('streaming'))!
        .socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n');
      await streaming.until('\r\nx\r\n');
      const closed = Promise.all(open.map(({ socket }) => new Promise((resolve) => socket.once('close', resolve))));
      await world.grant(['POST /rpc']);
      const since = performance.now();
      const answer = await waiting.answer();
      assert.equal(answer.status, 403);
      assert.ok(['CALL_NOT_GRANTED', 'NOT_PERMITTED'].includes(answer.problem().code));
      await Promise.all([streaming.closed, closed]);
      assert.ok(!streaming.received.includes('\r\n0\r\n\r\n'), 'cut off, not ended');
      assert.ok(performance.now() - since < 1000);
    },
  );
});

test('drift of the called agent ends its calls at once, and the next one is told why', async (t) => {
  const world = await Http1Mesh.start(t);
  const { planner, researcher, server } = world;
  server.onRequest = () => undefined;
  const waiting = world.connect().write(get('/waiting'));
  await pollUntil(
    () => server.taken.length,
    (count) => count === 1,
  );
  const closed = new Promise((resolve) => server.taken[0]!.socket.once('close', resolve));
  await researcher.files.writePrompt('Another mind.\n');
  const answer = await waiting.answer();
  assert.ok([403, 503].includes(answer.status), String(answer.status));
  await closed;
  await pollUntil(
    () => planner.sessions(),
    (sessions) => sessions.every(({ state }) => state !== 'live'),
  );
  const next = await world.call('/next');
  assert.ok([403, 503].includes(next.status));
  assert.match(next.headers['content-type'] ?? '', /problem\+json/);
  assert.equal(server.taken.length, 1);
});
