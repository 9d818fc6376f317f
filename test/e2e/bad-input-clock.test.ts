import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Decision } from '../../src/sidecar/decision-log.ts';
import { httpGet } from '../support/admin-request.ts';
import { LoggedProcess } from '../support/child-process.ts';
import { startMesh } from '../support/mesh.ts';
import { pollUntil } from '../support/poll-until.ts';
import { runAit } from '../support/run-ait.ts';
import { shiftedClock, type ClockShift } from '../support/shifted-clock.ts';
import { AIT_BINARY, type TestAgent } from '../support/test-agent.ts';

const TEN_MINUTES = 600_000;
const ISO = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g;

/** Starts the sidecar with a clock that is off, or will be. */
async function startShifted(agent: TestAgent, shift: ClockShift): Promise<void> {
  const file = join(agent.folder, 'shifted.yaml');
  await writeFile(file, JSON.stringify(agent.config));
  const args = [...shiftedClock(shift), AIT_BINARY, 'sidecar', '--config', file];
  agent.processes.push(new LoggedProcess(`sidecar ${agent.name}, with another clock`, args));
}

/** How far the two times in a text are apart, in ms. */
function apart(text: string): number {
  const [first, second] = [...text.matchAll(ISO)].map(([time]) => Date.parse(time));
  assert.ok(first !== undefined && second !== undefined, `both times are there: ${text}`);
  return Math.abs(first - second);
}

test('a clock ten minutes off from the start', async (t) => {
  const config = { timing: { heartbeat: '200ms' } };
  const mesh = await startMesh(t, {
    agents: { planner: { calls: ['researcher'], start: false, config }, researcher: { config } },
  });
  const [planner, researcher] = [mesh.agent('planner'), mesh.agent('researcher')];

  await t.test(
    'ahead, but within the life of what the authority signs: it works, and the peer sees by how much',
    async () => {
      await startShifted(planner, { atStartMs: TEN_MINUTES });
      await planner.waitFor('sidecar_ready');
      await planner.waitFor('state_applied', ({ objects }) => Number(objects) >= 7);
      assert.equal(await planner.call('researcher', 'hello'), 'hello');
      const skew = () => researcher.metric('ait_peer_clock_skew_seconds', { peer: 'planner' });
      await pollUntil(skew, (seconds) => Math.abs(seconds - 600) < 5);
      await planner.sidecar.kill();
    },
  );

  await t.test('behind: it does not join, says both times, and joins by itself once the clock is right', async () => {
    await startShifted(planner, { atStartMs: -TEN_MINUTES });
    const { detail } = await planner.waitFor('join_failed');
    assert.ok(apart(String(detail)) > TEN_MINUTES - 120_000, String(detail));
    assert.match(String(detail), /the certificate is valid from .*, our clock says /);
    planner.sidecar.signal('SIGUSR2');
    await planner.waitFor('sidecar_ready', () => true, { deadlineMs: 20_000 });
    await planner.waitFor('state_applied', ({ objects }) => Number(objects) >= 7);
    assert.equal(await planner.call('researcher', 'hello'), 'hello');
    assert.equal(await researcher.metric('ait_drift_total'), 0);
  });
});

const JUMPS = [
  { way: 'back', onSignalMs: -TEN_MINUTES, tolerance: '1h', code: 'AIT_NOT_YET_VALID', relation: 'before it' },
  { way: 'ahead', onSignalMs: TEN_MINUTES, tolerance: '5m', code: 'STATE_STALE', relation: 'past it' },
] as const;

for (const { way, onSignalMs, tolerance, code, relation } of JUMPS) {
  test(`a clock that is set ten minutes ${way} while live: ${code} with both times; put right, calls work again`, async (t) => {
    const mesh = await startMesh(t, {
      authority: { outage_tolerance: tolerance },
      agents: { planner: { calls: ['researcher'], start: false }, researcher: {} },
    });
    const [planner, researcher] = [mesh.agent('planner'), mesh.agent('researcher')];
    await startShifted(planner, { onSignalMs });
    await planner.waitFor('sidecar_ready');
    await planner.waitFor('state_applied', ({ objects }) => Number(objects) >= 7);
    assert.equal(await planner.call('researcher', 'before'), 'before');

    const from = planner.sidecar.mark();
    planner.sidecar.signal('SIGUSR2');
    await planner.waitFor('session_terminated', (line) => line['code'] === code, { from });
    const record = (await planner.decisions()).find(
      ({ outcome, rejection }) => outcome === 'terminated' && rejection?.code === code,
    );
    const { ours, theirs, what } = clocksOf(record);
    assert.ok(Math.abs(ours - Date.now() - onSignalMs) < 10_000, 'ours is the clock that is wrong');
    assert.ok(Math.sign(ours - theirs) === Math.sign(onSignalMs));
    assert.equal(await planner.metric('ait_sessions_terminated_total', { reason: code }), 1);
    await assert.rejects(planner.call('researcher', 'meanwhile'));
    assert.match(await httpGet({ address: planner.addresses.metrics }, '/readyz'), new RegExp(code));

    const told = await runAit(['explain', 'planner', '--admin', planner.addresses.admin]);
    assert.equal(told.code, 0, told.output);
    assert.ok(told.output.includes(code) && told.output.includes(what), told.output);
    assert.ok(told.output.includes(new Date(theirs).toISOString()), told.output);
    assert.match(told.output, new RegExp(`our clock .*Z, \\d+(\\.\\d)? (s|min) ${relation}`));

    const right = planner.sidecar.mark();
    planner.sidecar.signal('SIGUSR2');
    await planner.waitFor('standing_in_order', () => true, { from: right });
    assert.equal(await planner.call('researcher', 'after'), 'after');
    assert.equal(await planner.metric('ait_drift_total'), 0);
    assert.equal(await researcher.metric('ait_drift_total'), 0);
  });
}

function clocksOf(record: Decision | undefined) {
  const clocks = record?.rejection?.clocks;
  assert.ok(clocks !== undefined, 'both clocks are in the decision record');
  return clocks;
}
