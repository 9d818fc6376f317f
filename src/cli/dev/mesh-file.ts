import { dirname, resolve } from 'node:path';
import * as v from 'valibot';
import { parseTrustDomain } from '../../domain/agent-id.ts';
import { MeshError } from '../../domain/mesh-error.ts';
import { ConfigError, loadConfig, type ConfigProblem } from '../../platform/config-source.ts';
import { providerSection } from '../../sidecar/inference/inference-section.ts';
import { resolveMeasureConfig } from '../../sidecar/measure/measure-config.ts';
import { measureSection } from '../../sidecar/measure/measure-schema.ts';
import {
  DEFAULT_ADDRESS,
  fillIn,
  type AgentPlan,
  type CallPlan,
  type InferencePlan,
  type MeshPlan,
} from '../mesh-runner/mesh-plan.ts';

const AGENT_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
const ADDRESS = /^(unix:\/.+|(127\.\d{1,3}\.\d{1,3}\.\d{1,3}|localhost|\[::1\]):\d{1,5})$/;

const name = v.pipe(v.string(), v.regex(AGENT_NAME, 'expected a name of letters, digits and . _ -'));
const address = v.pipe(v.string(), v.regex(ADDRESS, 'expected unix:/absolute/path or a loopback host:port'));

const call = v.union(
  [
    v.pipe(name, v.description('The name of an agent in this file.')),
    v.strictObject({
      agent: name,
      listen: v.pipe(address, v.description('Where the caller finds it. Default: a unix socket under .ait/run.')),
    }),
  ],
  'expected the name of an agent, or {agent, listen}',
);

const agent = v.strictObject({
  command: v.pipe(
    v.array(v.string()),
    v.minLength(1),
    v.description('Program and arguments, run without a shell. ${listen} and ${peer.<name>} stand for addresses.'),
  ),
  cwd: v.optional(v.pipe(v.string(), v.description("Where it runs. Default: this file's folder."))),
  env: v.optional(
    v.pipe(v.record(v.string(), v.string()), v.description('Variables; the same may stand in them.')),
    {},
  ),
  listen: v.optional(
    v.pipe(address, v.description('Where the agent listens. Default, if it is called: a unix socket.')),
  ),
  calls: v.optional(v.pipe(v.array(call), v.description('Whom it may call: each gets a grant and an address.')), []),
  measure: measureSection,
});

/** What `ait dev --file` reads: your own agents. Relative paths start at the file's folder. */
export const meshFileSchema = v.strictObject({
  trust_domain: v.optional(v.pipe(v.string(), v.description('Name of the mesh. Default dev.local.')), 'dev.local'),
  agents: v.pipe(
    v.record(name, agent),
    v.check((agents) => Object.keys(agents).length > 0, 'name at least one agent'),
    v.description('By name.'),
  ),
  inference: v.optional(
    v.pipe(
      v.strictObject({ provider: providerSection }),
      v.description(
        "An OpenAI-compatible server for all agents, as in a sidecar's configuration. Default: a simulated service, which has every model that is approved.",
      ),
    ),
  ),
});

type MeshFile = v.InferOutput<typeof meshFileSchema>;

/**
 * Reads a file of one's own agents.
 *
 * @throws ConfigError with all problems of the shape, or all of the sense
 */
export function loadMeshFile(path: string): MeshPlan {
  const file = resolve(path);
  const parsed = loadConfig({ schema: meshFileSchema, file, env: {} });
  const problems = senseProblems(parsed).map((problem): ConfigProblem => ({ ...problem, source: `file ${path}` }));
  if (problems.length > 0) throw new ConfigError(problems);
  const called = new Set(Object.values(parsed.agents).flatMap(({ calls }) => calls.map(nameOfCall)));
  const folder = dirname(file);
  const agents = Object.entries(parsed.agents).map(([own, spec]): AgentPlan => {
    const [program = '', ...args] = spec.command;
    return {
      name: own,
      command: [program, ...args],
      cwd: resolve(folder, spec.cwd ?? '.'),
      env: spec.env,
      listen: spec.listen ?? (called.has(own) ? DEFAULT_ADDRESS : undefined),
      calls: spec.calls.map(readCall),
      measure: resolveMeasureConfig(spec.measure, folder),
    };
  });
  return { trustDomain: parsed.trust_domain, agents, inference: inferencePlan(parsed, folder) };
}

function inferencePlan({ inference }: MeshFile, folder: string): InferencePlan {
  if (inference === undefined) return { kind: 'simulated' };
  const { api_key_file: key, ca_file: ca, ...provider } = inference.provider;
  const files = {
    ...(key !== undefined && { api_key_file: resolve(folder, key) }),
    ...(ca !== undefined && { ca_file: resolve(folder, ca) }),
  };
  return { kind: 'provider', provider: { ...provider, ...files } };
}

function readCall(entry: MeshFile['agents'][string]['calls'][number]): CallPlan {
  return typeof entry === 'string' ? { agent: entry, listen: DEFAULT_ADDRESS } : entry;
}

function nameOfCall(entry: MeshFile['agents'][string]['calls'][number]): string {
  return typeof entry === 'string' ? entry : entry.agent;
}

/** What the shape alone cannot show. */
function senseProblems({ trust_domain: trustDomain, agents }: MeshFile): Omit<ConfigProblem, 'source'>[] {
  const problems: Omit<ConfigProblem, 'source'>[] = [];
  try {
    parseTrustDomain(trustDomain);
  } catch (error) {
    problems.push({ path: 'trust_domain', message: error instanceof MeshError ? error.message : String(error) });
  }
  const names = Object.keys(agents);
  for (const [own, { calls, command, env, listen }] of Object.entries(agents)) {
    calls.forEach((entry, index) => {
      const callee = nameOfCall(entry);
      const path = `agents.${own}.calls[${index}]`;
      if (callee === own) problems.push({ path, message: 'an agent does not call itself' });
      else if (!names.includes(callee))
        problems.push({ path, message: `no agent is named ${callee}; there is ${names.join(', ')}` });
    });
    const isCalled = Object.entries(agents).some(
      ([caller, other]) => caller !== own && other.calls.some((entry) => nameOfCall(entry) === own),
    );
    const known = {
      listen: listen ?? (isCalled ? 'address' : undefined),
      peers: new Map(calls.map((entry) => [nameOfCall(entry), 'address'])),
    };
    const texts = [
      ...command.map((text, index) => ({ text, path: `agents.${own}.command[${index}]` })),
      ...Object.entries(env).map(([variable, text]) => ({ text, path: `agents.${own}.env.${variable}` })),
    ];
    for (const { text, path } of texts) {
      try {
        fillIn(text, known);
      } catch (error) {
        problems.push({
          path,
          message: `${(error as Error).message}: \${listen} needs a caller or listen, \${peer.<name>} an entry in calls`,
        });
      }
    }
  }
  return problems;
}
