import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { LogLine } from '../support/child-process.ts';
import { startMesh } from '../support/mesh.ts';

const PATIENT = { deadlineMs: 30_000 };
const timeOf = (line: LogLine): number => Date.parse(String(line['ts']));

describe('the link to the authority', { concurrency: true }, () => {
  test('a renewal that failed is tried again in a twentieth of the life that was left, not of one that was dated back', async (t) => {
    const mesh = await startMesh(t, { authority: { svid_lifetime: '20s' }, agents: { planner: {} } });
    const planner = mesh.agent('planner');
    await mesh.authority.process.stop();
    const first = await planner.waitFor('svid_renewal_failed', () => true, PATIENT);
    const from = planner.sidecar.lines.indexOf(first) + 1;
    const second = await planner.waitFor('svid_renewal_failed', () => true, { ...PATIENT, from });
    const pause = timeOf(second) - timeOf(first);
    // A second, found due by a timer that runs every second. Counted from the date on the certificate it would be 4.
    assert.ok(pause < 3_500, `${pause} ms`);
    // And the connection that failed is not asked again: the authority that is back is found.
    await mesh.authority.start();
    await planner.waitFor('svid_renewed', () => true, { ...PATIENT, from });
  });

  test('a rotation moves the stream of state without a gap, a retry or a complaint', async (t) => {
    const mesh = await startMesh(t, { authority: { svid_lifetime: '4s' }, agents: { planner: {} } });
    const planner = mesh.agent('planner');
    for (let rotation = 0; rotation < 3; rotation += 1) {
      await planner.waitFor('svid_renewed', () => true, { ...PATIENT, from: planner.sidecar.mark() });
      // It comes over the new connection: a state that nothing has changed would say nothing.
      await mesh.nudge(planner);
    }
    const broken = planner.sidecar.lines.filter(({ event }) => event === 'state_watch_broken');
    assert.deepEqual(broken, []);
  });
});
