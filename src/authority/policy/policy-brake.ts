import type { Clock } from '../../platform/clock.ts';
import type { BrakeVerdict } from './file-changes.ts';
import { computeImpact, type Impact, type ReportedInstance } from './policy-impact.ts';
import { differencesOf, objectsInForce, type LayerDifference, type PolicyLayers } from './policy-layers.ts';
import { mayCut } from './policy-narrowing.ts';
import type { PolicyRecord } from './policy-objects.ts';
import { policyRefusal, type PolicyRefusal } from './policy-outcome.ts';

/** What the brake must know of what runs. */
export interface RunningMesh {
  reported(): readonly ReportedInstance[];
  /** False for a while after a start: instances that are there have not said yet what sessions they have. */
  isComplete(): boolean;
  /** The instance that holds a certificate, by `x5t#S256`. */
  instanceOf(thumbprint: string): string | undefined;
}

export interface PolicyBrakeOptions {
  readonly clock: Clock;
  readonly mesh: RunningMesh;
  /** In percent of all open sessions; 100 switches the brake off. */
  readonly impactLimit: number;
}

/** One policy, and another that would take its place. */
export interface ChangeOfLayers {
  readonly from: PolicyLayers;
  readonly to: PolicyLayers;
}

/** Whom a change of policy would cut, and whether that is too many to happen unasked. It never holds a revocation. */
export class PolicyBrake {
  readonly #options: PolicyBrakeOptions;

  constructor(options: PolicyBrakeOptions) {
    this.#options = options;
  }

  impactOf({ from, to }: ChangeOfLayers): Impact {
    const { clock, mesh } = this.#options;
    return computeImpact({
      before: objectsInForce(from),
      after: objectsInForce(to),
      reported: mesh.reported(),
      now: clock.now(),
      instanceOf: (thumbprint) => mesh.instanceOf(thumbprint),
    });
  }

  /** @param known the impact, where it has been worked out already */
  judge(change: ChangeOfLayers, known?: Impact): BrakeVerdict {
    const { impactLimit, mesh } = this.#options;
    if (impactLimit >= 100 || onlyRevokes(change)) return undefined;
    const { ending, total } = known ?? this.impactOf(change);
    if (ending * 100 > impactLimit * total) return 'too_large';
    const { from, to } = change;
    return !mesh.isComplete() && mayCut(objectsInForce(from), objectsInForce(to)) ? 'unknown' : undefined;
  }

  /** @param accepted so many sessions may end; default: none beyond the limit */
  check(change: ChangeOfLayers, impact: Impact, accepted: number | undefined): PolicyRefusal | undefined {
    const verdict = this.judge(change, impact);
    if (verdict === undefined) return undefined;
    const { ending, total } = impact;
    if (accepted !== undefined && accepted >= ending) return undefined;
    if (verdict === 'unknown') {
      const detail =
        'the authority has just started, and not all instances have said yet what sessions they have; ask again within a minute';
      return policyRefusal('IMPACT_UNKNOWN', detail, { impact });
    }
    const limit = `the limit is ${this.#options.impactLimit} %`;
    const short = accepted === undefined ? '' : `, more than the ${accepted} that were accepted`;
    return policyRefusal('IMPACT_TOO_LARGE', `${ending} of ${total} sessions would end${short}; ${limit}`, { impact });
  }
}

/** Revocations never wait: not even for the answer that the brake would have no objection. */
function onlyRevokes({ from, to }: ChangeOfLayers): boolean {
  return differencesOf(from, to).every(({ layer, before, value }) => {
    return (layer === 'files' || layer === 'operators') && before === null && isRevocation(value);
  });
}

function isRevocation(value: LayerDifference['value']): boolean {
  return (value as unknown as Pick<PolicyRecord, 'object'> | null)?.object.kind === 'revocation';
}
