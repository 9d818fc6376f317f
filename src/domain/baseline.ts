import type { SpiffeId } from './agent-id.ts';
import {
  DIMENSIONS,
  differencesBetween,
  meetsAssurance,
  sameDigests,
  type Assurance,
  type Difference,
  type DigestTuple,
  type Dimension,
  type Measurement,
} from './measurement.ts';

/**
 * `approved`: in force. `retired`: admits nobody new, leaves open sessions alone. `revoked`: in force for nobody, open
 * sessions end at once.
 */
export const BASELINE_STATES = ['approved', 'retired', 'revoked'] as const;
export type BaselineState = (typeof BASELINE_STATES)[number];

/** An approved tuple of digests. An agent may have several in force at once: one must match in *all* dimensions. */
export interface Baseline {
  readonly id: string;
  readonly agent: SpiffeId;
  readonly state: BaselineState;
  /** Milliseconds since the epoch; orders baselines by age. */
  readonly approvedAt: number;
  /** Milliseconds since the epoch; in force from then on. */
  readonly notBefore?: number;
  /** Milliseconds since the epoch; in force until then. */
  readonly notAfter?: number;
  readonly minimumAssurance: Readonly<Record<Dimension, Assurance>>;
  /** `null` in a dimension: approved only if the agent has nothing of the kind. */
  readonly digests: DigestTuple;
}

export type BaselineMatch =
  | { readonly outcome: 'match'; readonly baseline: Baseline }
  | { readonly outcome: 'none_in_force' }
  | { readonly outcome: 'drift'; readonly nearest: Baseline; readonly differences: readonly Difference[] }
  | { readonly outcome: 'assurance_too_low'; readonly baseline: Baseline; readonly dimensions: readonly Dimension[] };

/**
 * Whether a baseline counts at `now`. A retired one counts only for whoever was admitted under that very one and still
 * is: `heldUnder` is its id.
 */
export function isInForce(baseline: Baseline, now: number, heldUnder?: string): boolean {
  const stateCounts = baseline.state === 'approved' || (baseline.state === 'retired' && baseline.id === heldUnder);
  return stateCounts && (baseline.notBefore ?? -Infinity) <= now && now < (baseline.notAfter ?? Infinity);
}

/**
 * Compares a measurement with all baselines in force, as whole tuples: version 1's prompt with version 2's tools, both
 * approved, is drift. Fails closed: no baseline in force never matches.
 */
export function matchBaseline(
  measurement: Measurement,
  baselines: readonly Baseline[],
  { now, heldUnder }: { now: number; heldUnder?: string | undefined },
): BaselineMatch {
  const inForce = baselines.filter((baseline) => isInForce(baseline, now, heldUnder));
  const equal = inForce.filter(({ digests }) => sameDigests(digests, measurement));
  // Nothing is nearer than what is equal: the rest need not be compared item by item.
  const compared = (equal.length > 0 ? equal : inForce).map((baseline) => ({
    baseline,
    differences: differencesBetween(baseline.digests, measurement),
    weak: weakDimensions(measurement, baseline),
  }));
  const nearest = compared.toSorted(byNearness)[0];
  if (nearest === undefined) return { outcome: 'none_in_force' };
  if (nearest.differences.length > 0) {
    return { outcome: 'drift', nearest: nearest.baseline, differences: nearest.differences };
  }
  if (nearest.weak.length > 0) {
    return { outcome: 'assurance_too_low', baseline: nearest.baseline, dimensions: nearest.weak };
  }
  return { outcome: 'match', baseline: nearest.baseline };
}

interface Compared {
  readonly baseline: Baseline;
  readonly differences: readonly Difference[];
  readonly weak: readonly Dimension[];
}

/** Fewest differing dimensions first, then fewest differing items, then fewest weak dimensions, then the newest. */
function byNearness(a: Compared, b: Compared): number {
  return (
    differingDimensions(a).size - differingDimensions(b).size ||
    a.differences.length - b.differences.length ||
    a.weak.length - b.weak.length ||
    b.baseline.approvedAt - a.baseline.approvedAt
  );
}

function differingDimensions(compared: Compared): ReadonlySet<Dimension> {
  return new Set(compared.differences.map((difference) => difference.dimension));
}

function weakDimensions(measurement: Measurement, baseline: Baseline): Dimension[] {
  return DIMENSIONS.filter((dimension) => {
    const measured = measurement[dimension];
    return measured !== null && !meetsAssurance(measured.assurance, baseline.minimumAssurance[dimension]);
  });
}
