import { cpSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import { NOT_APPLICABLE } from '../../domain/state-objects.ts';
import { resolveMeasureConfig, type MeasureConfig } from '../../sidecar/measure/measure-config.ts';
import { measureSection } from '../../sidecar/measure/measure-schema.ts';
import { DEFAULT_ADDRESS, type AgentPlan, type CallPlan, type MeshPlan } from '../mesh-runner/mesh-plan.ts';
import { exampleProgram, examplesFolder, type ExampleAgent } from '../mesh-runner/package-files.ts';

/** What an example agent is made of, as far as it has it; its program stays in the package. */
const PARTS = ['prompts', 'knowledge', 'tools.json', 'model.json'] as const;
/** Where those parts are, seen from the agent's folder. */
const MEASURE = {
  system_prompt: { main: 'prompts/system.md' },
  knowledge_base: { manifest: 'knowledge/manifest.json' },
  model: { file: 'model.json' },
  tools: { manifest: 'tools.json' },
  interval: '2s',
};
/** What some of them have not. */
const LACKING: Readonly<Partial<Record<ExampleAgent, Readonly<Record<string, string>>>>> = {
  reviewer: { knowledge_base: NOT_APPLICABLE },
  librarian: { system_prompt: NOT_APPLICABLE, model: NOT_APPLICABLE },
};
/** `fetch` dials no unix sockets. */
const ANY_PORT = '127.0.0.1:0';

/** Copies what an example agent is made of, unless it is there already. */
export function copyExampleAgent(agent: ExampleAgent, folder: string): void {
  const source = join(examplesFolder(), agent);
  for (const part of PARTS) {
    const target = join(folder, part);
    if (existsSync(join(source, part)) && !existsSync(target)) cpSync(join(source, part), target, { recursive: true });
  }
}

/** How an example agent in this folder is measured. */
export function measureExample(folder: string, agent: ExampleAgent = 'planner'): MeasureConfig {
  return resolveMeasureConfig(v.parse(measureSection, { ...MEASURE, ...LACKING[agent] }), folder);
}

export interface ExamplePaths {
  /** Where an agent's prompts, knowledge, tools and model are. */
  readonly folderOf: (agent: ExampleAgent) => string;
  /** Where whoever plays the attacker gets into its memory: a unix socket. */
  readonly debugSocketOf: (agent: ExampleAgent) => string;
}

/** Two agents that speak gRPC. */
export function examplePlan(paths: ExamplePaths): MeshPlan {
  return {
    trustDomain: 'dev.local',
    inference: { kind: 'simulated' },
    agents: [
      planOf('planner', paths, {
        listen: undefined,
        calls: [{ agent: 'researcher', listen: DEFAULT_ADDRESS, speaks: 'gRPC' }],
        env: { RESEARCHER: '${peer.researcher}' },
      }),
      planOf('researcher', paths, SERVING),
    ],
  };
}

/** The same two, and one more for each of the other protocols that agents speak. */
export function mixedPlan(paths: ExamplePaths): MeshPlan {
  const plan = examplePlan(paths);
  const agents = plan.agents.map((agent): AgentPlan => {
    if (agent.name !== 'planner') return agent;
    const calls: CallPlan[] = [
      { agent: 'reviewer', listen: ANY_PORT, speaks: 'A2A' },
      { agent: 'librarian', listen: ANY_PORT, speaks: 'MCP' },
    ];
    const env = { REVIEWER_URL: 'http://${peer.reviewer}', LIBRARIAN_URL: 'http://${peer.librarian}' };
    return { ...agent, calls: [...agent.calls, ...calls], env: { ...agent.env, ...env } };
  });
  return { ...plan, agents: [...agents, planOf('reviewer', paths, SERVING), planOf('librarian', paths, SERVING)] };
}

type Part = Pick<AgentPlan, 'env' | 'listen' | 'calls'>;

const SERVING: Part = { listen: DEFAULT_ADDRESS, calls: [], env: { LISTEN: '${listen}' } };

function planOf(name: ExampleAgent, { folderOf, debugSocketOf }: ExamplePaths, part: Part): AgentPlan {
  // Without a model there is nothing in memory that a call could give away, and no door to it.
  const door = LACKING[name]?.['model'] === NOT_APPLICABLE ? {} : { DEBUG_SOCKET: debugSocketOf(name) };
  return {
    name,
    command: [process.execPath, exampleProgram(name)],
    cwd: examplesFolder(),
    measure: measureExample(folderOf(name), name),
    ...part,
    env: { AGENT_HOME: folderOf(name), ...door, ...part.env },
  };
}
