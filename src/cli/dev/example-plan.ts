import { cpSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import { resolveMeasureConfig, type MeasureConfig } from '../../sidecar/measure/measure-config.ts';
import { measureSection } from '../../sidecar/measure/measure-schema.ts';
import { DEFAULT_ADDRESS, type AgentPlan, type MeshPlan } from '../mesh-runner/mesh-plan.ts';
import { exampleProgram, examplesFolder } from '../mesh-runner/package-files.ts';

/** What an example agent is made of; its program stays in the package. */
const PARTS = ['prompts', 'knowledge', 'tools.json', 'model.json'] as const;
/** Where those parts are, seen from the agent's folder. */
const MEASURE = {
  system_prompt: { main: 'prompts/system.md' },
  knowledge_base: { manifest: 'knowledge/manifest.json' },
  model: { file: 'model.json' },
  tools: { manifest: 'tools.json' },
  interval: '2s',
};

/** Copies what an example agent is made of, unless it is there already. */
export function copyExampleAgent(agent: 'planner' | 'researcher', folder: string): void {
  const source = join(examplesFolder(), agent);
  for (const part of PARTS) {
    const target = join(folder, part);
    if (!existsSync(target)) cpSync(join(source, part), target, { recursive: true });
  }
}

/** How an example agent in this folder is measured. */
export function measureExample(folder: string): MeasureConfig {
  return resolveMeasureConfig(v.parse(measureSection, MEASURE), folder);
}

export interface ExamplePaths {
  /** Where an agent's prompts, knowledge, tools and model are. */
  readonly folderOf: (agent: 'planner' | 'researcher') => string;
  /** Where whoever plays the attacker gets into its memory: a unix socket. */
  readonly debugSocketOf: (agent: 'planner' | 'researcher') => string;
}

/** The two example agents. */
export function examplePlan({ folderOf, debugSocketOf }: ExamplePaths): MeshPlan {
  const examples = examplesFolder();
  const planOf = (name: 'planner' | 'researcher', rest: Pick<AgentPlan, 'env' | 'listen' | 'calls'>): AgentPlan => ({
    name,
    command: [process.execPath, exampleProgram(name)],
    cwd: examples,
    measure: measureExample(folderOf(name)),
    ...rest,
    env: { AGENT_HOME: folderOf(name), DEBUG_SOCKET: debugSocketOf(name), ...rest.env },
  });
  return {
    trustDomain: 'dev.local',
    inference: { kind: 'simulated' },
    agents: [
      planOf('planner', {
        listen: undefined,
        calls: [{ agent: 'researcher', listen: DEFAULT_ADDRESS }],
        env: { RESEARCHER: '${peer.researcher}' },
      }),
      planOf('researcher', { listen: DEFAULT_ADDRESS, calls: [], env: { LISTEN: '${listen}' } }),
    ],
  };
}
