import { resolveAgentId, type SpiffeId, type TrustDomain } from '../../domain/agent-id.ts';
import { objectAt, stringAt } from '../../domain/json-shape.ts';
import { AdminProblem } from '../../platform/admin-http.ts';
import type { AdminAnswer, AdminBody, AdminRequest, AdminRoutes } from '../../platform/admin-socket.ts';
import type { Logger } from '../../platform/logger.ts';
import type { PromptDifference__Output } from '../../wire/generated/ait/v1/PromptDifference.ts';
import type { InstanceReports, ReportedInstance } from '../reports/instance-reports.ts';
import type { Questions } from '../reports/questions.ts';

export interface DriftRoutesDeps {
  readonly trustDomain: TrustDomain;
  readonly reports: InstanceReports;
  readonly questions: Questions;
  readonly logger: Logger;
}

/**
 * `POST /drift/show` takes `{agent, instance?}`. Its answer is the one place where text of a prompt leaves a sidecar: it
 * goes to the operator who asked, and into no log, metric or file.
 */
export function driftRoutes(deps: DriftRoutesDeps): AdminRoutes {
  return { 'POST /drift/show': (request) => showDrift(request, deps) };
}

async function showDrift({ body, operator }: AdminRequest, deps: DriftRoutesDeps): Promise<AdminAnswer> {
  const { trustDomain, reports, questions, logger } = deps;
  const { agent, instance } = readRequest(body, trustDomain);
  const { id } = chooseInstance(reports, agent, instance);
  const answer = await questions.askPromptDifference(id, operator.name);
  const { outcome } = answer;
  const prompts = outcome === 'answered' ? answer.prompts : [];
  logger.info('prompt_disclosed', {
    operator: operator.name,
    agent,
    instance: id,
    outcome,
    prompts: prompts.map(({ name }) => name.slice(0, 200)),
  });
  switch (outcome) {
    case 'answered':
      return { body: { agent, instance: id, prompts: prompts.map(view) } };
    case 'unavailable':
      throw new AdminProblem(409, 'NO_DIFFERENCE_KNOWN', `${id}: ${answer.reason}`);
    case 'timeout':
      throw new AdminProblem(504, 'INSTANCE_SILENT', `${id}: ${answer.reason}`);
    case 'gone':
      throw new AdminProblem(409, 'INSTANCE_GONE', `${id}: ${answer.reason}`);
  }
}

function readRequest(body: AdminBody, trustDomain: TrustDomain): { agent: SpiffeId; instance: string | undefined } {
  const object = objectAt(body ?? {}, 'request', { required: ['agent'], optional: ['instance'] });
  const { instance } = object;
  return {
    agent: resolveAgentId(trustDomain, stringAt(object['agent'], 'agent', /^[^\s]{1,2048}$/, 'a name')),
    instance:
      instance === undefined ? undefined : stringAt(instance, 'instance', /^[0-9a-f]{1,64}$/, 'the id of an instance'),
  };
}

/** The one instance that is meant. Several are told apart by the operator, not guessed at. */
function chooseInstance(reports: InstanceReports, agent: SpiffeId, wanted: string | undefined): ReportedInstance {
  if (wanted !== undefined) {
    const found = reports.get(wanted);
    if (found?.agent !== agent) throw new AdminProblem(404, 'INSTANCE_UNKNOWN', `${agent} has no instance ${wanted}`);
    if (found.goneAt === undefined) return found;
    const since = new Date(found.goneAt).toISOString();
    throw new AdminProblem(409, 'INSTANCE_GONE', `${wanted} is gone since ${since}; its prompt went with it`);
  }
  const there = reports.reported().filter((report) => report.agent === agent);
  const [only, ...others] = there;
  if (only === undefined) {
    throw new AdminProblem(404, 'NO_INSTANCE', `no instance of ${agent} reports to this authority at the moment`);
  }
  if (others.length === 0) return only;
  throw new AdminProblem(409, 'SEVERAL_INSTANCES', `${agent} has ${there.length} instances; name one of them`, {
    instances: there.map(({ id, status }) => ({ id, rejection_code: status?.rejectionCode ?? '' })),
  });
}

function view(difference: PromptDifference__Output): object {
  const { name, approved, measured, unifiedDiff, firstDifference, whitespaceOnly } = difference;
  return {
    name,
    approved,
    measured,
    /** Empty where the sidecar does not know the approved text. */
    unified_diff: unifiedDiff,
    first_difference: firstDifference,
    whitespace_only: whitespaceOnly,
  };
}
