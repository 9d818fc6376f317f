import type { TrustDomain } from '../../domain/agent-id.ts';
import type { JsonObject } from '../../domain/canonical/strict-json.ts';
import { anyObjectAt, flagAt, integerAt, objectAt, stringAt } from '../../domain/json-shape.ts';
import type { AdminAnswer, AdminRequest, AdminRoutes } from '../../platform/admin-socket.ts';
import type { NoticeWatch } from '../policy/notice-watch.ts';
import { parseOperatorChanges } from '../policy/operator-changes.ts';
import type { PolicyDirectory } from '../policy/policy-directory.ts';
import type { ChangeTerms, PolicyLedger } from '../policy/policy-ledger.ts';
import { POLICY_REFUSALS, type PolicyOutcome } from '../policy/policy-outcome.ts';
import { heldView, impactView, noticeView, revisionView } from './policy-views.ts';

export interface PolicyRoutesDeps {
  readonly trustDomain: TrustDomain;
  readonly ledger: PolicyLedger;
  readonly directory: PolicyDirectory;
  readonly notices: NoticeWatch;
  /** In percent. */
  readonly impactLimit: number;
}

const SHOWN_REVISIONS = 20;
const TERMS = ['base_revision', 'accept_impact', 'dry_run'];
const DIGEST = /^[0-9a-f]{16}$/;

/**
 * The policy, for operators. What changes it takes `base_revision`, `accept_impact` and `dry_run` besides, and answers
 * what it came to; a refusal is a problem (RFC 9457) with a `code` and, where it is about that, the `impact`.
 */
export function policyRoutes(deps: PolicyRoutesDeps): AdminRoutes {
  const { ledger } = deps;
  return {
    'GET /policy': () => ({ body: policyView(deps) }),
    'GET /notices': async () => ({ body: { notices: (await deps.notices.notices()).map(noticeView) } }),
    'POST /policy/changes': async (request) => {
      const body = readBody(request, ['changes']);
      const changes = parseOperatorChanges(body['changes'], deps.trustDomain);
      return answer(await ledger.change(changes, termsOf(body, request)));
    },
    'POST /policy/undo': async (request) => {
      const body = readBody(request, [], ['to_revision']);
      const to = body['to_revision'] === undefined ? undefined : integerAt(body['to_revision'], 'to_revision');
      return answer(await ledger.undo({ ...termsOf(body, request), to }));
    },
    'POST /policy/accept': async (request) => {
      const body = readBody(request, ['digest']);
      const digest = stringAt(body['digest'], 'digest', DIGEST, 'the digest of what is held, as GET /policy has it');
      return answer(await ledger.accept({ ...termsOf(body, request), digest }));
    },
  };
}

function policyView({ ledger, directory, impactLimit }: PolicyRoutesDeps): object {
  const held = ledger.held();
  const revisions = ledger.revisions();
  const counts: Record<string, number> = { agent: 0, baseline: 0, grant: 0, inference_service: 0, revocation: 0 };
  for (const { kind } of ledger.objects()) counts[kind] = (counts[kind] ?? 0) + 1;
  const last = revisions.at(-1);
  return {
    revision: ledger.revision,
    ...(last !== undefined && { author: last.author, at: new Date(last.at).toISOString(), summary: last.summary }),
    impact_limit: impactLimit,
    counts,
    ...(held !== undefined && { held: heldView(held) }),
    problems: directory.problems(),
    revisions: revisions.slice(-SHOWN_REVISIONS).toReversed().map(revisionView),
  };
}

function readBody({ body }: AdminRequest, required: readonly string[], optional: readonly string[] = []): JsonObject {
  return objectAt(anyObjectAt(body ?? {}, 'request'), 'request', { required, optional: [...optional, ...TERMS] });
}

function termsOf(body: JsonObject, { operator }: AdminRequest): ChangeTerms {
  const { base_revision: base, accept_impact: accept, dry_run: dry } = body;
  return {
    operator: operator.name,
    baseRevision: base === undefined ? undefined : integerAt(base, 'base_revision'),
    acceptImpact: accept === undefined ? undefined : integerAt(accept, 'accept_impact'),
    dryRun: flagAt(dry, 'dry_run'),
  };
}

function answer(outcome: PolicyOutcome): AdminAnswer {
  if (!outcome.ok) {
    const { code, detail, impact, since } = outcome;
    const status = POLICY_REFUSALS[code];
    const body = {
      status,
      code,
      detail,
      ...(impact !== undefined && { impact: impactView(impact) }),
      ...(since !== undefined && { since: since.map(revisionView) }),
    };
    return { status, body };
  }
  const { applied, revision, summary, impact, notes } = outcome;
  return { body: { applied, revision, summary, notes, impact: impactView(impact) } };
}
