import { resolve, join } from 'node:path';
import pc from 'picocolors';
import { isMeshError, MeshError } from '../../domain/mesh-error.ts';
import { systemClock } from '../../platform/clock.ts';
import { lockDirectory, type DirectoryLock } from '../../platform/directory-lock.ts';
import { environment } from '../../platform/environment.ts';
import type { CommandOutput } from '../command-output.ts';
import { prepareLayout, type MeshLayout } from '../mesh-runner/mesh-layout.ts';
import type { MeshPlan } from '../mesh-runner/mesh-plan.ts';
import { aitAsTyped } from '../mesh-runner/package-files.ts';
import { untilSignal } from '../until-signal.ts';
import { DevSession } from './dev-session.ts';
import { copyExampleAgent, mixedPlan } from './example-plan.ts';
import { loadMeshFile } from './mesh-file.ts';
import { Storyteller } from './storyteller.ts';
import { welcome } from './welcome.ts';

export interface DevOptions {
  readonly file?: string;
  readonly state: string;
  readonly json?: boolean;
}

/**
 * Runs a mesh until a signal comes. Whatever happens, no child outlives it.
 *
 * @throws MeshError `STATE_LOCKED` when another one has the folder; `CONFIG_INVALID`
 */
export async function dev(options: DevOptions, output: CommandOutput): Promise<void> {
  const json = options.json === true;
  const root = resolve(options.state);
  const stopped = Promise.race([untilSignal(), untilNobodyReads()]);
  const { layout, plan } = prepare(root, options.file);
  const lock = lockState(root);
  const storyteller = new Storyteller({ print: (line) => output.print(line), colors: pc, clock: systemClock, json });
  const session = new DevSession({ layout, plan, env: environment, say: (sentence) => storyteller.say(sentence) });
  try {
    const started = session.start();
    started.catch(() => undefined);
    const first = await Promise.race([started, stopped]);
    if (typeof first !== 'string') {
      if (json) output.print(JSON.stringify({ event: 'ready', addresses: addressesToJson(session) }));
      else
        output.print(
          welcome({ layout, plan, addresses: session.addresses, approved: first, ait: aitAsTyped(), colors: pc }),
        );
      await stopped;
    }
    if (!json) output.print('\nstopping …');
  } catch (error) {
    if (isMeshError(error)) throw error;
    throw new MeshError('START_FAILED', (error as Error).message, {
      cause: error,
      hint: `the full logs are in ${layout.logs}`,
    });
  } finally {
    await session.stop();
    lock.release();
  }
}

function prepare(root: string, file: string | undefined): { layout: MeshLayout; plan: MeshPlan } {
  if (file !== undefined) {
    const plan = loadMeshFile(file);
    return {
      plan,
      layout: prepareLayout(
        root,
        plan.agents.map(({ name }) => name),
      ),
    };
  }
  const agents = ['planner', 'researcher', 'reviewer', 'librarian'] as const;
  const layout = prepareLayout(root, agents);
  for (const agent of agents) copyExampleAgent(agent, join(layout.agents, agent));
  const plan = mixedPlan({
    folderOf: (agent) => join(layout.agents, agent),
    debugSocketOf: (agent) => layout.socket(agent, 'debug'),
  });
  return { layout, plan };
}

function lockState(root: string): DirectoryLock {
  try {
    return lockDirectory(root);
  } catch (cause) {
    if (!isMeshError(cause, 'STATE_LOCKED')) throw cause;
    throw new MeshError('STATE_LOCKED', `a mesh is running in ${root} already: ${cause.message}`, {
      hint: 'stop that one with Ctrl-C, or give this one another folder with --state',
      cause,
    });
  }
}

/** `ait dev | head` ends like any program whose reader has gone, and takes its children along. */
function untilNobodyReads(): Promise<string> {
  return new Promise((resolve) => {
    process.stdout.on('error', () => resolve('EPIPE'));
  });
}

function addressesToJson(session: DevSession): Record<string, unknown> {
  return Object.fromEntries(
    [...session.addresses].map(([agent, { inbound, metrics, admin, inference }]) => [
      agent,
      { inbound, metrics, admin, inference },
    ]),
  );
}
