import { createServer, type AddressInfo } from 'node:net';
import { dirname, resolve } from 'node:path';
import { MeshError } from '../../domain/mesh-error.ts';
import { systemClock } from '../../platform/clock.ts';
import { environment } from '../../platform/environment.ts';
import { createLogger } from '../../platform/logger.ts';
import { createSidecar, type Sidecar } from '../../sidecar/sidecar.ts';
import { preferSmallHeap } from '../../sidecar/small-heap.ts';
import type { CommandOutput } from '../command-output.ts';
import { parseDurationFlag } from '../duration-flag.ts';
import { OrphanGuard } from '../mesh-runner/orphan-guard.ts';
import { readSettings } from '../settings-flag.ts';
import { VERSION } from '../version.ts';
import { agentEnvironment, expand, placeholdersOf, type AgentAddresses } from './agent-environment.ts';
import { loadAgentFile, type AgentFile } from './agent-file.ts';
import { AgentProcess, codeOfSignal, exitCodeOf } from './agent-process.ts';
import { CANNOT_EXECUTE, findProgram, NOT_FOUND } from './find-program.ts';
import { RunFolder } from './run-folder.ts';
import { SignalRelay } from './signal-relay.ts';
import { tellStanding, untilUsable } from './until-usable.ts';

export interface RunFlags {
  readonly wait: string;
  readonly state?: string;
  readonly set?: readonly string[];
  readonly verbose?: true;
  readonly checkConfig?: true;
}

export interface RunOptions {
  /** `agent.yaml`. */
  readonly file: string;
  readonly command: readonly string[];
  readonly flags: RunFlags;
}

/**
 * Runs one command behind a sidecar in this very process, and leaves its exit code as ours. The command is started when
 * the sidecar is usable; when it has ended, so does the sidecar.
 *
 * @throws MeshError `CONFIG_INVALID`; `STATE_LOCKED` when it is being run already; what {@link untilUsable} throws
 */
export async function run({ file: name, command, flags }: RunOptions, output: CommandOutput): Promise<void> {
  preferSmallHeap();
  const waitMs = parseDurationFlag('--wait', flags.wait);
  const file = resolve(name);
  const appPort = await findFreePort();
  const state = flags.state === undefined ? {} : { state_dir: resolve(flags.state) };
  const settings = { ...readSettings(flags.set ?? []), ...state };
  const load = () => loadAgentFile({ file, env: environment, command, settings, appPort, uid: process.getuid?.() });
  const agentFile = load();
  if (flags.checkConfig === true) {
    output.print(`${file}: in order`);
    return;
  }
  const [program, ...args] = command;
  if (program === undefined) {
    throw new MeshError('CONFIG_INVALID', 'there is no command to run', { hint: `ait run ${name} -- <command>` });
  }
  if (!isThere(program, agentFile, output)) return;

  const { config } = agentFile;
  const folder = await RunFolder.open(config, { verbose: flags.verbose === true });
  const tell = (line: string) => output.error(`ait: ${line}`);
  try {
    const logger = createLogger({ name: 'sidecar', level: config.log_level, destination: folder.log });
    const source = { file, load: () => load().config };
    const sidecar = createSidecar({ config, folder: dirname(file), source, logger, version: VERSION });
    try {
      output.exitCode(await runBehind(sidecar, { command: [program, ...args], agentFile, waitMs, tell }));
    } catch (error) {
      if (folder.logFile !== undefined) tell(`the sidecar's log is ${folder.logFile}`);
      throw error;
    }
  } finally {
    folder.close();
  }
}

interface AgentRun {
  readonly command: readonly [program: string, ...args: string[]];
  readonly agentFile: AgentFile;
  readonly waitMs: number;
  readonly tell: (line: string) => void;
}

/** @returns the exit code */
async function runBehind(sidecar: Sidecar, { command, agentFile, waitMs, tell }: AgentRun): Promise<number> {
  const stopping = new AbortController();
  const cut = new AbortController();
  let agent: AgentProcess | undefined;
  let stoppedBy: NodeJS.Signals = 'SIGTERM';
  const relay = new SignalRelay({
    clock: systemClock,
    onStop: (signal) => {
      stoppedBy = signal;
      stopping.abort(new Error(`stopped by ${signal}`));
    },
    onForce: (signal) => {
      cut.abort(new Error(`asked to stop a second time, by ${signal}`));
      agent?.signalGroup('SIGKILL');
    },
  });
  const guard = new OrphanGuard();
  try {
    if (!(await untilUsable({ sidecar, waitMs, stopping: stopping.signal, tell }))) return codeOfSignal(stoppedBy);
    const untell = tellStanding(sidecar, tell);
    agent = startAgent(command, { sidecar, agentFile, guard });
    relay.target = agent;
    const stillThere = agent;
    void sidecar.quitRequested.then(() => stillThere.signal('SIGTERM'));
    const status = await agent.exited;
    relay.target = undefined;
    untell();
    if (status.error !== undefined) tell(`${command[0]} could not be started: ${status.error.message}`);
    await agent.endLeftovers(cut.signal);
    await sidecar.stop(AbortSignal.any([cut.signal, stopping.signal]));
    return exitCodeOf(status);
  } finally {
    relay.release();
    await guard.close();
  }
}

function startAgent(
  command: AgentRun['command'],
  { sidecar, agentFile, guard }: { sidecar: Sidecar; agentFile: AgentFile; guard: OrphanGuard },
): AgentProcess {
  const addresses: AgentAddresses = sidecar.addresses();
  const listen = agentFile.config.app?.address;
  const env = agentEnvironment({ inherited: environment, addresses, listen, own: agentFile.env });
  const [program, ...args] = command;
  const known = placeholdersOf(addresses, listen);
  return new AgentProcess({ command: [program, ...args.map((text) => expand(text, known))], env, guard });
}

/** Says so where the program cannot be started, as a shell would. */
function isThere(program: string, { env }: AgentFile, output: CommandOutput): boolean {
  const found = findProgram(program, env['PATH'] ?? environment['PATH']);
  if (found === 'found') return true;
  if (found === 'missing') {
    output.error(
      `ait: ${program}: command not found\n  try: is it installed, and in PATH? a path needs a / in it: ./${program}`,
    );
    output.exitCode(NOT_FOUND);
  } else {
    output.error(`ait: ${program}: cannot be executed\n  try: chmod +x, or name its interpreter: python3 ${program}`);
    output.exitCode(CANNOT_EXECUTE);
  }
  return false;
}

/** A port that was free a moment ago: one that two processes have to know cannot be left to whoever binds it. */
function findFreePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
