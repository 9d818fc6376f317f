import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { httpGet } from '../support/admin-request.ts';
import { awaitAddress, startMesh } from '../support/mesh.ts';
import { pollUntil } from '../support/poll-until.ts';
import { runAit } from '../support/run-ait.ts';
import type { TestAgent } from '../support/test-agent.ts';

interface Outage {
  readonly remainingMs: number;
  readonly bound: string;
}

async function outageOf(agent: TestAgent): Promise<Outage> {
  return (JSON.parse(await agent.admin('/status')) as { outage: Outage }).outage;
}

const CASES = [
  { name: 'for as long as it is tolerated', certificatesEnd: false },
  { name: 'for so long that certificates have ended, too', certificatesEnd: true },
];

// They mostly wait for time to pass.
describe('the authority is killed', { concurrency: true }, () => {
  for (const { name, certificatesEnd } of CASES) {
    test(`${name}: sessions go on for outage_tolerance, end with STATE_STALE, and come back without a restart`, async (t) => {
      const mesh = await startMesh(t, {
        agents: { planner: { calls: ['researcher'] }, researcher: {} },
        authority: { outage_tolerance: '4s' },
      });
      const [planner, researcher] = [mesh.agent('planner'), mesh.agent('researcher')];
      const held = planner.connect('researcher');
      held.socket.write('held');
      await held.read(4);
      await mesh.authority.process.kill();
      const killedAt = performance.now();
      const margin = await outageOf(planner);
      assert.equal(margin.bound, 'state', 'the number that was configured is the one that counts');
      assert.ok(margin.remainingMs > 1_000 && margin.remainingMs <= 4_000, `${margin.remainingMs} ms`);
      const shown = await planner.metric('ait_outage_tolerance_remaining_seconds');
      assert.ok(shown > 0 && shown * 1000 <= margin.remainingMs, `${shown} s`);
      const told = await runAit(['status', '--admin', planner.addresses.admin]);
      assert.match(told.output, /in order, baseline planner-1\n.*goes on for 0 min [0-4] s; then its state ends/);
      assert.equal(await planner.call('researcher', 'still'), 'still');
      held.socket.write('still');
      assert.equal((await held.read(5)).toString(), 'still');

      await held.closed;
      assert.ok(performance.now() - killedAt <= 4_000 + 5_000, 'and not much longer');
      for (const agent of [planner, researcher]) {
        const own = await agent.waitFor('peer_refused', ({ subject }) => subject === 'self');
        assert.equal(own['code'], 'STATE_STALE');
        assert.match(await httpGet({ address: agent.addresses.metrics }, '/readyz'), /STATE_STALE/);
        assert.equal((await outageOf(agent)).remainingMs, 0);
        assert.equal(await agent.metric('ait_outage_tolerance_remaining_seconds'), 0);
      }
      const ended = await runAit(['status', '--admin', planner.addresses.admin]);
      assert.match(ended.output, /refuses its own agent\n.*the state has ended: everything is cut/);
      await assert.rejects(planner.call('researcher'));

      if (certificatesEnd) {
        for (const agent of [planner, researcher]) {
          const ends = async () =>
            (JSON.parse(await agent.admin('/status')) as { certificate: { notAfter: number } }).certificate.notAfter;
          await pollUntil(
            async () => Date.now() - (await ends()),
            (past) => past > 0,
            { deadlineMs: 30_000, everyMs: 200 },
          );
        }
      }
      await mesh.authority.start();
      for (const agent of [planner, researcher]) {
        await agent.waitFor('standing_in_order', () => true, {
          from: agent.sidecar.lines.findIndex(({ code }) => code === 'STATE_STALE'),
          deadlineMs: 40_000,
        });
        await pollUntil(
          () => agent.status(),
          ({ ready }) => ready,
        );
      }
      await awaitAddress(planner, researcher.inbound);
      assert.equal(
        await pollUntil(
          () => planner.call('researcher', 'again').catch(() => ''),
          (answer) => answer === 'again',
        ),
        'again',
      );
    });
  }
});
