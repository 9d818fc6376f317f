import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Http1Mesh } from '../support/http1-mesh.ts';

const post = (path: string) => `POST ${path} HTTP/1.1\r\nHost: researcher\r\nContent-Length: 1000\r\n\r\nbegun`;

test('an agent that begins a body and goes silent hears why its request ends; others are served meanwhile', async (t) => {
  const world = await Http1Mesh.start(t, {
    planner: { calls: { stall_timeout: '400ms' } },
    researcher: { calls: { stall_timeout: '1h' } },
  });
  const { planner, researcher, server } = world;
  const silent = world.connect().write(post('/silent'));
  assert.equal((await world.call('/other')).status, 200);
  const answer = await silent.answer();
  const problem = answer.problem();
  assert.deepEqual([answer.status, problem.code], [503, 'CALL_STALLED']);
  assert.match(problem.detail ?? '', /the caller has sent nothing of its body/);
  const decided = (await planner.decisions()).find(({ correlationId }) => correlationId === problem.correlation_id);
  assert.equal(decided?.rejection?.code, 'CALL_STALLED');
  assert.equal(await planner.metric('ait_calls_total', { code: '5xx', source: 'sidecar' }), 1);
  assert.ok(!server.taken.some(({ line }) => line.includes('/silent')), 'the callee never had a whole request');
  assert.ok(researcher.sidecar.running);
  silent.socket.destroy();
});
