import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { systemClock } from '../../platform/clock.ts';
import { isEndOfStream, watchDrift, watchRecovery } from './drift-check.ts';
import type { Stage } from './stage.ts';
import { claim, type Step } from './step.ts';

const HOUR_MS = 3_600_000;

/** From observe to enforce, as a platform team would roll the mesh out over agents that run already. */
export function rollOutSteps(): readonly Step[] {
  let prompt = '';
  return [
    {
      name: 'observe: the planner is only observed, and its prompt changes during a streaming call',
      expected: 'the stream goes on; both sidecars count and log what they would have refused',
      run: async (stage) => {
        prompt = readFileSync(promptOf(stage), 'utf8');
        await observe(stage);
        const before = await wouldDeny(stage, 'researcher');
        const from = stage.position;
        appendFileSync(promptOf(stage), '\nBe bold.\n');
        await stage.event('researcher', 'would_deny', { from });
        const after = stage.position;
        await Promise.all([stage.findings(10, after), stage.call('Ask', 'OK', after)]);
        claim(!stage.mesh.transcript.since(from).some(isEndOfStream), 'the stream was interrupted');
        const counted = (await wouldDeny(stage, 'researcher')) - before;
        claim(counted === 1, `ait_would_deny_total counted ${counted} at the researcher, not 1`);
        return 'the stream went on; ait_would_deny_total{reason="SYSTEM_PROMPT_DRIFT"} counted 1';
      },
    },
    {
      name: 'enforce: observe mode is taken off',
      expected: 'what was only counted is cut now; the approved prompt brings the calls back',
      run: async (stage) => {
        const from = stage.position;
        const written = stage.now();
        writePlanner(stage, {});
        const [own] = await Promise.all([
          stage.event('planner', 'session_terminated', { from }),
          stage.event('researcher', 'session_terminated', { from }),
          stage.line('planner', 'the end of the stream', isEndOfStream, from),
        ]);
        const cutMs = own.at - written;
        const backMs = await watchRecovery(stage, () => writeFileSync(promptOf(stage), prompt));
        return `cut ${Math.round(cutMs)} ms after the policy was written; back after ${Math.round(backMs)} ms`;
      },
    },
    {
      name: 'observe: the planner is only observed, and its prompt changes in memory only',
      expected: 'its calls to the model go on; its own sidecar counts and logs what it would have refused',
      run: async (stage) => {
        await observe(stage);
        const before = await wouldDeny(stage, 'planner');
        const from = stage.position;
        await stage.tamper('prompt', 'Be bold.');
        await stage.event('planner', 'would_deny', { from });
        const after = stage.position;
        await Promise.all([stage.call('Plan', 'OK', after), stage.call('Ask', 'OK', after), stage.findings(3, after)]);
        claim(!stage.mesh.transcript.since(from).some(isEndOfStream), 'the stream was interrupted');
        const counted = (await wouldDeny(stage, 'planner')) - before;
        claim(counted > 0, 'ait_would_deny_total counted nothing at the planner');
        return `calls went on; ait_would_deny_total{reason="SYSTEM_PROMPT_DRIFT"} counted ${counted}, one for each call`;
      },
    },
    {
      name: 'enforce: observe mode is taken off, the prompt in memory is still another one',
      expected: 'the next call to the model is refused and the session is cut; put back, calls work again',
      run: async (stage) => {
        const seen = await watchDrift(stage, 'system_prompt', () => writePlanner(stage, {}));
        const backMs = await watchRecovery(stage, () => stage.tamper('restore'));
        return `cut ${Math.round(seen.ownMs)} ms after the policy was written; back after ${Math.round(backMs)} ms`;
      },
    },
  ];
}

/** Puts the planner into observe mode, and waits until both sidecars know. */
async function observe(stage: Stage): Promise<void> {
  const announcing = stage.position;
  const until = new Date(systemClock.now() + HOUR_MS).toISOString();
  writePlanner(stage, { observe: { until, reason: 'rolled out today' } });
  await Promise.all(
    ['planner', 'researcher'].map((agent) => stage.event(agent, 'state_applied', { from: announcing })),
  );
}

function promptOf(stage: Stage): string {
  return join(stage.plannerHome, 'prompts/system.md');
}

function wouldDeny(stage: Stage, agent: string): Promise<number> {
  return stage.metric(agent, 'ait_would_deny_total', { reason: 'SYSTEM_PROMPT_DRIFT' });
}

function writePlanner(stage: Stage, more: object): void {
  const sponsor = { id: 'you', name: 'whoever started this mesh' };
  const record = { kind: 'Agent', id: 'planner', lifecycle: 'active', sponsor, ...more };
  writeFileSync(join(stage.layout.policy, 'agents/planner.yaml'), stringify(record), { mode: 0o600 });
}
