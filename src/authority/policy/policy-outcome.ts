import type { Impact } from './policy-impact.ts';
import type { Revision } from './policy-revision.ts';

/** Why a change of policy was not made. Stable: scripts match them. */
export const POLICY_REFUSALS = {
  CHANGE_INVALID: 400,
  NOT_FOUND: 404,
  AGENT_UNKNOWN: 409,
  APPROVAL_LOOKS_WRONG: 409,
  BASELINE_EXISTS: 409,
  BASELINE_OF_ANOTHER_AGENT: 409,
  BASELINE_REVOKED: 409,
  HELD_CHANGED: 409,
  IMPACT_TOO_LARGE: 409,
  IMPACT_UNKNOWN: 409,
  NOTHING_HELD: 409,
  NOTHING_TO_UNDO: 409,
  OWNED_BY_FILE: 409,
  POLICY_MOVED_ON: 409,
  STATE_NOT_WRITTEN: 507,
} as const;
export type PolicyRefusalCode = keyof typeof POLICY_REFUSALS;

export interface PolicyRefusal {
  readonly ok: false;
  readonly code: PolicyRefusalCode;
  /** One line, for the operator. */
  readonly detail: string;
  /** Of the change, where it is about that. */
  readonly impact?: Impact;
  /** What happened since the revision that the operator had seen. */
  readonly since?: readonly Revision[];
}

export interface PolicyChanged {
  readonly ok: true;
  /** False where nothing is different now: a dry run, or the policy said so already. */
  readonly applied: boolean;
  /** In force now. */
  readonly revision: number;
  /** One line: what changed, or would. */
  readonly summary: string;
  readonly impact: Impact;
  /** What the operator should know besides. */
  readonly notes: readonly string[];
}

export type PolicyOutcome = PolicyChanged | PolicyRefusal;

export function policyRefusal(
  code: PolicyRefusalCode,
  detail: string,
  more: Pick<PolicyRefusal, 'impact' | 'since'> = {},
): PolicyRefusal {
  return { ok: false, code, detail, ...more };
}
