import { appendFileSync, cpSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { Dimension } from '../../domain/measurement.ts';
import { systemClock } from '../../platform/clock.ts';
import { measureExample } from '../dev/example-plan.ts';
import { DIMENSION_WORDS } from '../explain/explanation.ts';
import { measureToYaml } from '../mesh-runner/mesh-files.ts';
import { isEndOfStream, runAit, watchDrift, watchRecovery, type DriftObservation } from './drift-check.ts';
import type { Stage } from './stage.ts';
import { claim, type Step } from './step.ts';

/** The demo's story: calls, drift, return, roll-out. Each step begins where the one before ended. */
export function storySteps(): readonly Step[] {
  const original = new Map<string, string>();
  return [
    callsWork,
    {
      name: 'drift: one byte added to the system prompt, during a streaming call',
      expected:
        'session and all sockets end at both sidecars; the call ends with PERMISSION_DENIED; metric and explain say system_prompt',
      run: async (stage) => {
        const prompt = join(stage.plannerHome, 'prompts/system.md');
        original.set(prompt, readFileSync(prompt, 'utf8'));
        const seen = await watchDrift(stage, 'system_prompt', () => appendFileSync(prompt, ' '));
        const { textDifference } = seen.decision;
        claim(textDifference?.whitespaceOnly === true, 'explain does not say that only whitespace differs');
        return `${inWords(seen)}; explain: SYSTEM_PROMPT_DRIFT, only whitespace differs, at byte ${textDifference?.byteOffset}`;
      },
    },
    {
      name: 'return: the prompt is put back, in place',
      expected: 'calls work again by themselves',
      run: async (stage) => {
        const ms = await watchRecovery(stage, () => putBack(original));
        return `unary and streaming calls work again after ${Math.round(ms)} ms`;
      },
    },
    rollOut,
    driftAndReturn(
      'knowledge_base',
      'one byte added to an entry of the knowledge base',
      'knowledge/plans.md',
      (text) => `${text} `,
    ),
    driftAndReturn('model', 'another version of the model', 'model.json', (text) =>
      text.replace('2026-01-15', '2026-02-01'),
    ),
    driftAndReturn('tools', "a tool's description changed", 'tools.json', (text) =>
      text.replace('Puts one question', 'Puts any question'),
    ),
    {
      name: "drift: version 1's prompt with version 2's tools, both approved",
      expected: 'a baseline is approved as a whole: system_prompt drift from version 2, and return',
      run: async (stage) => {
        const old = readFileSync(join(stage.release('v1'), 'prompts/system.md'), 'utf8');
        const seen = await changeAndReturn(stage, {
          dimension: 'system_prompt',
          file: 'prompts/system.md',
          change: () => old,
        });
        const { nearestBaseline, differences = [] } = seen.decision.rejection ?? {};
        claim(nearestBaseline === BASELINE_V2, `the nearest baseline is ${nearestBaseline}`);
        claim(
          differences.every(({ dimension }) => dimension === 'system_prompt'),
          'other dimensions differ, too',
        );
        return `${inWords(seen)}; nearest baseline ${nearestBaseline}`;
      },
    },
  ];
}

const BASELINE_V2 = 'planner-v2';

const callsWork: Step = {
  name: 'both approved: the planner calls the researcher',
  expected: 'a unary and a streaming call end with OK',
  run: async (stage) => {
    const from = stage.position;
    const more = { args: ['--once'], env: { LOG: 'json', FINDING_EVERY_MS: '5' } };
    const once = stage.mesh.startAgent(stage.agent('planner'), stage.addressesOf('planner'), more);
    const [ask, stream] = await Promise.all([stage.call('Ask', 'OK', from), stage.call('Investigate', 'OK', from)]);
    await once?.exited;
    stage.startCalling();
    await stage.findings(3, stage.position);
    return `Ask OK in ${String(ask.json?.['ms'])} ms with its session, Investigate OK with ${String(stream.json?.['findings'])} findings`;
  },
};

const rollOut: Step = {
  name: 'roll-out: a new prompt and a new tool, approved first, then swapped in by one symbolic link',
  expected: 'no interruption: the running stream goes on, calls go on, the session stays',
  run: async (stage) => {
    writeVersion2(stage);
    const approving = stage.position;
    await approve(stage, stage.release('v2'));
    await Promise.all(
      ['planner', 'researcher'].map((agent) => stage.event(agent, 'state_applied', { from: approving })),
    );

    const [before] = await stage.sessions('researcher');
    const from = stage.position;
    swapLink(stage.release('v2'), stage.plannerHome);
    await stage.event('planner', 'measurement_changed', { from });
    await stage.event('planner', 'ait_renewed', { from });
    const after = stage.position;
    await Promise.all([stage.findings(10, after), stage.call('Ask', 'OK', after)]);

    const since = stage.mesh.transcript.since(from);
    claim(!since.some(isEndOfStream), 'the stream was interrupted');
    claim(!since.some(({ record }) => record?.event === 'session_terminated'), 'a session was ended');
    const [now] = await stage.sessions('researcher');
    const { baseline } = await stage.status('planner');
    claim(before !== undefined && now?.id === before.id, 'the session is another one');
    claim(baseline === BASELINE_V2, `the planner equals ${baseline ?? 'no baseline'}`);
    return `${before?.baseline} → ${now?.baseline}; the stream and its session went on`;
  },
};

function driftAndReturn(dimension: Dimension, what: string, file: string, change: (text: string) => string): Step {
  return {
    name: `drift: ${what}`,
    expected: `session and all sockets end; metric and explain say ${dimension}; put back, calls work again`,
    run: async (stage) => inWords(await changeAndReturn(stage, { dimension, file, change })),
  };
}

interface Change {
  readonly dimension: Dimension;
  readonly file: string;
  readonly change: (text: string) => string;
}

/** Whatever is seen, the file is as before in the end, so that the next step has a chance. */
async function changeAndReturn(
  stage: Stage,
  { dimension, file, change }: Change,
): Promise<DriftObservation & { backMs: number }> {
  const path = join(stage.plannerHome, file);
  const text = readFileSync(path, 'utf8');
  const next = change(text);
  claim(next !== text, `the demo did not change the ${DIMENSION_WORDS[dimension]}`);
  try {
    const seen = await watchDrift(stage, dimension, () => writeFileSync(path, next));
    return { ...seen, backMs: await watchRecovery(stage, () => writeFileSync(path, text)) };
  } finally {
    writeFileSync(path, text);
  }
}

function writeVersion2(stage: Stage): void {
  const folder = stage.release('v2');
  cpSync(stage.release('v1'), folder, { recursive: true });
  appendFileSync(join(folder, 'prompts/system.md'), '\nPrefer short answers.\n');
  const tools = JSON.parse(readFileSync(join(folder, 'tools.json'), 'utf8')) as { tools: object[] };
  tools.tools.push({
    type: 'function',
    function: { name: 'read_plan', description: 'Returns the stored plan.', parameters: { type: 'object' } },
  });
  writeFileSync(join(folder, 'tools.json'), `${JSON.stringify(tools, null, 2)}\n`);
}

/** As a CI job would: `ait baseline build` into the authority's directory. */
async function approve(stage: Stage, folder: string): Promise<void> {
  const config = join(stage.layout.config, 'planner-v2.yaml');
  writeFileSync(config, stringify({ measure: measureToYaml(measureExample(folder)) }));
  const output = join(stage.layout.policy, 'baselines/planner-v2.yaml');
  const who = ['--approved-by', 'ait demo', '--approved-at', new Date(systemClock.now()).toISOString()];
  await runAit(stage, [
    'baseline',
    'build',
    '--agent',
    'planner',
    '--id',
    BASELINE_V2,
    '--config',
    config,
    ...who,
    '--output',
    output,
  ]);
}

/** One rename, as Kubernetes does it with `..data`. */
function swapLink(target: string, link: string): void {
  symlinkSync(target, `${link}.next`);
  renameSync(`${link}.next`, link);
}

function putBack(files: ReadonlyMap<string, string>): void {
  for (const [path, text] of files) writeFileSync(path, text);
}

function inWords({ ownMs, peerMs, connections, backMs }: DriftObservation & { readonly backMs?: number }): string {
  const back = backMs === undefined ? '' : `; back after ${Math.round(backMs)} ms`;
  const cut = `${connections} connection(s) cut ${ownMs.toFixed(1)} ms after the write, at the peer after ${peerMs.toFixed(1)} ms`;
  return `${cut}; PERMISSION_DENIED${back}`;
}
