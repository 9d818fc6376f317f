import type { Logger } from '../../platform/logger.ts';
/** How long everything lives that the authority signs, and how often its keys change; all in ms. */
export interface Lifetimes {
  /** How long sidecars go on without the authority: the life of a signed state. The one number; the others follow. */
  readonly outageToleranceMs: number;
  /** Life of an AIT: longer than the state's, so that the state's end is the one that counts. */
  readonly aitMs: number;
  /** Life of an SVID. */
  readonly svidMs: number;
  /** Age at which an AIT or state key is replaced; 0: never by itself. */
  readonly keyRotationMs: number;
}

/** AITs are renewed at a third of their life: two thirds of this, and so all of the tolerance, is always left. */
const AIT_LIFE = 1.5;
/** SVIDs are renewed at 0.4 to 0.6 of their life: what is left is 0.4 of it or more. */
const SVID_LIFE = 3;
/** Below so many tolerances an SVID may end before the tolerance does. */
const LEAST_SVID_LIFE = 2.5;

/** @param config durations in ms; without `svid_lifetime` it follows the tolerance. */
export function lifetimesOf(config: {
  readonly outage_tolerance: number;
  readonly svid_lifetime?: number | undefined;
  readonly key_rotation: number;
}): Lifetimes {
  const { outage_tolerance: outageToleranceMs, key_rotation: keyRotationMs } = config;
  const svidMs = config.svid_lifetime ?? SVID_LIFE * outageToleranceMs;
  return { outageToleranceMs, aitMs: AIT_LIFE * outageToleranceMs, svidMs, keyRotationMs };
}

/** Whether certificates may end before the tolerance does, so that it is not what bounds life without the authority. */
export function svidsEndFirst({ svidMs, outageToleranceMs }: Lifetimes): boolean {
  return svidMs < LEAST_SVID_LIFE * outageToleranceMs;
}

/** Says so where certificates would end before the tolerance does. */
export function warnOfShortSvids(lifetimes: Lifetimes, logger: Logger): void {
  if (!svidsEndFirst(lifetimes)) return;
  const { svidMs, outageToleranceMs } = lifetimes;
  logger.warn('svids_end_before_tolerance', {
    svid_lifetime: `${svidMs / 1000}s`,
    outage_tolerance: `${outageToleranceMs / 1000}s`,
    action:
      'without the authority, sessions may end with their certificates before the tolerance is over: make svid_lifetime at least 2.5 times outage_tolerance, or leave it out',
  });
}
