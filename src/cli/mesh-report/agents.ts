import type { CommandOutput } from '../command-output.ts';
import { nameOf } from '../explain/explanation.ts';
import { askAuthority } from '../operator/authority-client.ts';
import { table } from './plain-text.ts';
import type { AgentView, ReportFlags } from './report-flags.ts';

export async function showAgents(flags: ReportFlags, output: CommandOutput): Promise<void> {
  const agents = (await askAuthority(flags, { method: 'GET', path: '/agents' })) as readonly AgentView[];
  if (flags.json === true) output.print(JSON.stringify(agents));
  else if (agents.length === 0) output.print('No agent is registered: put one into the policy directory.');
  else output.print(table(['AGENT', 'LIFECYCLE', 'READY', 'DRIFTED', 'BASELINES', 'SPONSOR', ''], agents.map(rowOf)));
}

function rowOf(agent: AgentView): readonly string[] {
  const { id, lifecycle, ready, instances, drifted, baselines, observe_until: observed } = agent;
  const approved = baselines.filter(({ state }) => state === 'approved').map((baseline) => baseline.id);
  return [
    nameOf(id),
    lifecycle,
    `${ready}/${instances}`,
    drifted === 0 ? '-' : String(drifted),
    approved.length === 0 ? 'none' : approved.join(', '),
    agent.sponsor_name ?? agent.sponsor ?? 'none',
    observed === undefined ? '' : `observe mode until ${observed}`,
  ];
}
