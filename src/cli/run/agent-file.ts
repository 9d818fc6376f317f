import { createHash } from 'node:crypto';
import { homedir } from 'node:os';
import { basename, dirname, extname, join, resolve } from 'node:path';
import * as v from 'valibot';
import { isRecord } from '../../platform/config-schema.ts';
import { ConfigError, loadConfig, type ConfigProblem } from '../../platform/config-source.ts';
import type { Environment } from '../../platform/environment.ts';
import { sidecarConfigSchema, SIDECAR_ENV_PREFIX, type SidecarConfig } from '../../sidecar/config.ts';
import { expand, peerName, peerVariable } from './agent-environment.ts';
import { agentSocket, peerSocket, socketFolder } from './sockets.ts';

/** What `ait run` reads: a sidecar's configuration, and what the agent is to find in its environment. */
const agentFileSchema = v.strictObject({
  ...sidecarConfigSchema.entries,
  env: v.optional(
    v.pipe(
      v.record(v.string(), v.string()),
      v.description('Variables for the agent; ${listen}, ${outbound} and ${peer.<name>} stand for addresses.'),
    ),
    {},
  ),
});

export interface AgentFileOptions {
  readonly file: string;
  readonly env: Environment;
  /** The agent's program and arguments: what stands in them is checked, too. */
  readonly command: readonly string[];
  /** Settings that go over the file, dotted path to text; `state_dir` is absolute. */
  readonly settings: Readonly<Record<string, string | undefined>>;
  /** What port 0 in `app.address` becomes: somebody has to say it to both sides. */
  readonly appPort: number;
  /** The user that the agent is run as; `undefined` where the system has none. */
  readonly uid: number | undefined;
}

export interface AgentFile {
  /** Complete; the state directory is absolute. */
  readonly config: SidecarConfig;
  readonly env: Readonly<Record<string, string>>;
}

/**
 * Reads `agent.yaml`, over it `AIT_SIDECAR_*` variables and settings, and fills in what fits one agent on one machine: loopback
 * ports, unix sockets, a state directory.
 *
 * @throws ConfigError with all problems of the shape, or all of the sense
 */
export function loadAgentFile(options: AgentFileOptions): AgentFile {
  const { file, env, settings } = options;
  const { env: own, ...config } = loadConfig({
    schema: agentFileSchema,
    file,
    env,
    envPrefix: SIDECAR_ENV_PREFIX,
    flags: settings,
    flagName: (path) => (path === 'state_dir' ? '--state' : `--set ${path}`),
    complete: (draft) => complete(draft, options),
  });
  const problems = [...peerProblems(config), ...envProblems(own), ...expansionProblems(config, own, options)];
  const { agent_uid: uid } = config.measure;
  if (uid !== options.uid) {
    problems.push({ path: 'measure.agent_uid', message: `the agent is run as user ${options.uid}: leave it out` });
  }
  if (problems.length > 0) throw new ConfigError(problems.map((each) => ({ source: `file ${file}`, ...each })));
  return { config: Object.freeze(config), env: own };
}

/**
 * One folder for each file: `$XDG_STATE_HOME/ait-mesh/<file>-<hash of its path>`, by default under `~/.local/state`.
 * Not beside the file: that folder is often shared, under version control, or too deep for the path of a socket.
 */
export function defaultStateDir(file: string, env: Environment): string {
  const { XDG_STATE_HOME: home = '' } = env;
  // XDG Base Directory specification: a relative path there is to be ignored.
  const base = home.startsWith('/') ? home : join(homedir(), '.local/state');
  const hash = createHash('sha256').update(resolve(file)).digest('hex').slice(0, 10);
  return join(base, 'ait-mesh', `${basename(file, extname(file))}-${hash}`);
}

/** What has not the expected shape is left alone: it is about to be refused. */
function complete(draft: Record<string, unknown>, { file, env, appPort, uid }: AgentFileOptions): void {
  draft['state_dir'] ??= defaultStateDir(file, env);
  if (typeof draft['state_dir'] !== 'string') return;
  const stateDir = resolve(dirname(file), draft['state_dir']);
  draft['state_dir'] = stateDir;
  for (const section of ['inbound', 'metrics']) setDefault((draft[section] ??= {}), 'listen', ANY_PORT);
  // A client of this API takes http://host:port and nothing else.
  if ('inference' in draft) setDefault(draft['inference'], 'listen', ANY_PORT);
  if (uid !== undefined) setDefault(draft['measure'], 'agent_uid', uid);

  const peers = (Array.isArray(draft['peers']) ? (draft['peers'] as unknown[]) : []).filter(
    (peer): peer is Record<string, unknown> & { agent: string } => isRecord(peer) && typeof peer['agent'] === 'string',
  );
  const { folder, moved } = socketFolder(
    stateDir,
    peers.map(({ agent }) => peerName(agent)),
  );
  for (const peer of peers) setDefault(peer, 'listen', `unix:${peerSocket(folder, peerName(peer.agent))}`);
  if (moved) setDefault((draft['admin'] ??= {}), 'socket', join(folder, 'admin.sock'));
  const { app } = draft;
  setDefault(app, 'address', `unix:${agentSocket(folder)}`);
  if (isRecord(app) && typeof app['address'] === 'string')
    app['address'] = app['address'].replace(/:0$/, `:${appPort}`);
}

const ANY_PORT = '127.0.0.1:0';

function setDefault(section: unknown, name: string, value: unknown): void {
  if (isRecord(section)) section[name] ??= value;
}

type Problem = Omit<ConfigProblem, 'source'> & { readonly source?: string };

/** Two peers under one variable: one of them would be called in the other's place. */
function peerProblems({ peers }: SidecarConfig): Problem[] {
  return peers.flatMap(({ agent }, index) => {
    const variable = peerVariable(agent);
    const first = peers.findIndex((other) => peerVariable(other.agent) === variable);
    if (first === index) return [];
    const message = `${agent} and ${peers[first]?.agent} would both be ${variable}`;
    return [{ path: `peers[${index}].agent`, message, hint: 'run them apart, or leave one of them out' }];
  });
}

const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/;

function envProblems(env: Readonly<Record<string, string>>): Problem[] {
  return Object.entries(env).flatMap(([name, value]) => {
    const at = (message: string): Problem[] => [{ path: `env.${name}`, message }];
    if (!VARIABLE.test(name)) return at('is no name of a variable: letters, digits and _, no digit first');
    if (name.startsWith('AIT_')) return at('AIT_ variables are set by ait run');
    return value.includes('\0') ? at('has a NUL in it') : [];
  });
}

/** Addresses are not known yet, but which there will be. */
function expansionProblems(
  { app, outbound, peers }: SidecarConfig,
  env: Readonly<Record<string, string>>,
  { command }: AgentFileOptions,
): Problem[] {
  const listeners = peers.flatMap(({ agent, listen }) =>
    listen === undefined ? [] : [[peerName(agent), listen] as const],
  );
  const known = { listen: app?.address, outbound: outbound?.listen, peers: new Map(listeners) };
  const texts: (Problem & { text: string })[] = [
    ...command.map((text, index) => ({ text, path: `command[${index}]`, source: 'command line', message: '' })),
    ...Object.entries(env).map(([name, text]) => ({ text, path: `env.${name}`, message: '' })),
  ];
  return texts.flatMap(({ text, ...place }) => {
    try {
      expand(text, known);
      return [];
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      return [
        {
          ...place,
          message: error.message,
          hint: '${listen} needs app, ${outbound} needs outbound, ${peer.<name>} an entry in peers',
        },
      ];
    }
  });
}
