import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Attacker } from '../support/attacker.ts';
import { startMesh } from '../support/mesh.ts';

test('trust rule 11: a token that does not follow a changed measurement within 10 s ends the session: AIT_STALE', async (t) => {
  const mesh = await startMesh(t, { agents: { planner: { calls: ['researcher'] }, researcher: {} } });
  const [planner, researcher] = [mesh.agent('planner'), mesh.agent('researcher')];
  const next = await mesh.register('planner-next', { approve: false });
  await next.create('planner');
  await next.writePrompt('You are planner, version 2.\n');
  const marks = [planner.sidecar.mark(), researcher.sidecar.mark()];
  await mesh.approve('planner', { id: 'planner-2', files: next });
  await Promise.all(
    [planner, researcher].map((agent, index) =>
      agent.waitFor('state_applied', () => true, { from: marks[index] ?? 0 }),
    ),
  );

  // One peer whose token stays behind, though its measurement is approved as well.
  const attacker = await Attacker.of(t, mesh);
  const liar = await attacker.admitted(researcher.inbound, attacker.member('planner'));
  const measurement = await next.measure();
  liar.heartbeat({ measurement });
  const beats = setInterval(() => liar.heartbeat({ measurement }), 1_000);
  t.after(() => clearInterval(beats));

  // And one honest sidecar whose authority does not answer any more.
  const call = planner.connect('researcher');
  call.socket.write('begin');
  await call.read(5);
  mesh.authority.process.signal('SIGSTOP');
  t.after(() => mesh.authority.process.signal('SIGCONT'));
  const startedAt = performance.now();
  await planner.files.writePrompt('You are planner, version 2.\n');

  const verdict = await researcher.waitForVerdict({ correlationId: liar.correlationId }, { deadlineMs: 15_000 });
  assert.deepEqual([verdict.event, verdict['code']], ['session_terminated', 'AIT_STALE']);
  await call.closed;
  const took = performance.now() - startedAt;
  assert.ok(took > 9_000 && took < 14_000, `it took ${took} ms`);
  const own = await planner.waitFor('peer_refused', ({ subject }) => subject === 'self');
  assert.equal(own['code'], 'AIT_STALE');
  assert.equal(await researcher.metric('ait_drift_total'), 0, 'what is approved is no drift');
});
