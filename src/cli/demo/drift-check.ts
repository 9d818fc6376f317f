import { execFile } from 'node:child_process';
import { DRIFT_CODES } from '../../domain/rejection.ts';
import type { Dimension } from '../../domain/measurement.ts';
import { environment } from '../../platform/environment.ts';
import type { DecisionRecord } from '../explain/decision-record.ts';
import { aitCommand, withoutOwnVariables } from '../mesh-runner/package-files.ts';
import type { OutputLine } from '../mesh-runner/transcript.ts';
import type { Stage } from './stage.ts';
import { claim } from './step.ts';

/** What a change of the planner did. */
export interface DriftObservation {
  /** From the write to the moment at which both sidecars had reported their last socket closed, as seen from here. */
  readonly ownMs: number;
  readonly peerMs: number;
  readonly connections: number;
  readonly decision: DecisionRecord;
}

/**
 * Changes something of the planner while a stream runs, and sees that everything that must follow does: both sidecars
 * end the session, no socket is left, the call in flight has its status, the metric counts, `ait explain` says so.
 */
export async function watchDrift(
  stage: Stage,
  dimension: Dimension,
  change: () => void | Promise<void>,
): Promise<DriftObservation> {
  const labels = { peer: 'self', dimension, action: 'terminated' };
  const countedBefore = await stage.metric('planner', 'ait_drift_total', labels);
  await stage.findings(3, stage.position);

  const from = stage.position;
  const code = DRIFT_CODES[dimension];
  const written = stage.now();
  await change();
  const [own, peer, ended] = await Promise.all([
    stage.event('planner', 'session_terminated', { from, where: (record) => record['code'] === code }),
    stage.event('researcher', 'session_terminated', { from }),
    stage.line('planner', 'the end of the stream', isEndOfStream, from),
  ]);

  const status = String(ended.json?.['status']);
  claim(status === 'PERMISSION_DENIED', `the call in flight ended with ${status}`);
  const open = [...(await stage.sessions('planner')), ...(await stage.sessions('researcher'))].filter(
    ({ state }) => state === 'live',
  );
  claim(open.length === 0, `${open.length} session(s) still open`);
  const counted = (await stage.metric('planner', 'ait_drift_total', labels)) - countedBefore;
  claim(counted === 1, `ait_drift_total{dimension="${dimension}"} counted ${counted}, not 1`);
  const decision = await explained(stage, code);
  const connections = Number(own.record?.['connections'] ?? 0);
  return { ownMs: own.at - written, peerMs: peer.at - written, connections, decision };
}

/** Puts back what was changed and sees that the calls come back by themselves. @returns ms until the next finding. */
export async function watchRecovery(stage: Stage, restore: () => void | Promise<void>): Promise<number> {
  const from = stage.position;
  const started = stage.now();
  await restore();
  await stage.event('planner', 'standing_in_order', { from });
  const again = stage.position;
  await Promise.all([stage.findings(1, again), stage.call('Ask', 'OK', again)]);
  return stage.now() - started;
}

export function isEndOfStream({ json }: OutputLine): boolean {
  return json?.['call'] === 'Investigate' && typeof json['status'] === 'string' && json['status'] !== 'RUNNING';
}

/** Runs `ait explain planner` as anybody would. */
async function explained(stage: Stage, code: string): Promise<DecisionRecord> {
  const { stdout } = await runAit(stage, [
    'explain',
    'planner',
    '--json',
    '--admin',
    stage.addressesOf('planner').admin,
  ]);
  const { decision } = JSON.parse(stdout) as { decision: DecisionRecord | null };
  claim(decision?.rejection?.code === code, `ait explain says ${decision?.rejection?.code ?? 'nothing'}`);
  if (decision === null) throw new TypeError('unreachable');
  return decision;
}

/** Runs a verb of the very `ait` that runs the demo. @throws Error with its last words */
export function runAit(stage: Stage, args: readonly string[]): Promise<{ stdout: string }> {
  const [program, ...rest] = aitCommand(...args);
  return new Promise((resolve, reject) => {
    execFile(
      program,
      rest,
      { cwd: stage.root, env: withoutOwnVariables(environment), timeout: 10_000 },
      (error, stdout, stderr) => {
        if (error === null) resolve({ stdout });
        else reject(new Error(`ait ${args[0]} failed: ${stderr.trim() || error.message}`));
      },
    );
  });
}
