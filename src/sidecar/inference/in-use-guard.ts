import type { SpiffeId } from '../../domain/agent-id.ts';
import { matchBaseline } from '../../domain/baseline.ts';
import { dimensionsInUse } from '../../domain/inference/in-use-assurance.ts';
import { checkInUse, type InUseWorld } from '../../domain/inference/in-use-check.ts';
import type { InUseVerdict } from '../../domain/inference/in-use.ts';
import type { ModelCall } from '../../domain/inference/model-call.ts';
import type { PromptBook } from '../../domain/inference/prompt-book.ts';
import type { JsonValue } from '../../domain/canonical/strict-json.ts';
import type { MeshState } from '../../domain/mesh-state.ts';
import { driftDimension, rejection, type Rejection } from '../../domain/rejection.ts';
import type { Clock } from '../../platform/clock.ts';
import type { DecisionLog } from '../decision-log.ts';
import type { MeasurementResult } from '../measure/measurement-result.ts';
import { CallRefused, type RefusalWords } from './call-refused.ts';
import type { InUseOverlay } from './in-use-overlay.ts';

export interface InUseGuardDeps {
  readonly self: SpiffeId;
  readonly clock: Clock;
  readonly decisions: DecisionLog;
  readonly overlay: InUseOverlay;
  /** What is measured at rest: not what the overlay makes of it. */
  readonly atRest: () => MeasurementResult;
  readonly state: () => MeshState | undefined;
  readonly ownRejection: () => Rejection | undefined;
  readonly revocation: () => Rejection | undefined;
  /** Id of the baseline that this agent is held under. */
  readonly heldUnder: () => string | undefined;
  readonly book: PromptBook;
  /** Whether whoever calls is the agent and nobody else. */
  readonly callerIsAgent: () => boolean;
  /** Whether the agent has no other way to any model. */
  readonly onlyWayToModel: boolean;
  readonly liveSessions: () => number;
  /** For the log: where calls come in. */
  readonly listen: () => string;
}

/** A call that may go to the model. */
export interface AdmittedCall {
  /** Whether only because of observe mode. */
  readonly observed: boolean;
  /** What stands against it now, in a world that may have changed since. */
  readonly recheck: () => Rejection | undefined;
}

type Mismatch = InUseVerdict & { readonly matches: false };

/**
 * Decides whether a call may go to the model, by what the agent is and by what the call shows of it. Synchronous: between
 * the decision, its consequences and the first byte that is sent, nothing else runs. Fails closed.
 */
export class InUseGuard {
  readonly #deps: InUseGuardDeps;

  constructor(deps: InUseGuardDeps) {
    this.#deps = deps;
  }

  /**
   * Why no call at all may be made now. Not for want of the assurance `in_use`, which only a call can bring; nor for drift
   * that an earlier call showed, which a call that matches ends.
   */
  standing(): Rejection | undefined {
    const revoked = this.#deps.revocation();
    if (revoked !== undefined) return revoked;
    const own = this.#deps.ownRejection();
    if (own === undefined || own.code === 'ASSURANCE_TOO_LOW') return undefined;
    return own.inUse === undefined ? own : this.#driftAtRest();
  }

  /**
   * Decides about one call, and draws the consequences: of a mismatch the call is refused, and where the caller is known
   * to be the agent, the measurement is from now on what the call shows, which ends the agent's sessions.
   *
   * @throws CallRefused
   */
  admit(call: ModelCall, correlationId: string): AdmittedCall {
    const refused = this.standing();
    if (refused !== undefined) throw new CallRefused(refused);
    const { overlay, decisions, callerIsAgent, onlyWayToModel, liveSessions, listen } = this.#deps;
    const world = this.#world();
    const verdict = checkInUse(call, world);
    if (verdict.matches) {
      // A call that anybody could have made shows nothing of the agent.
      const shows = onlyWayToModel && callerIsAgent();
      overlay.matched(shows ? dimensionsInUse(call, verdict, world.measurement) : []);
      return this.#admitted(call, { observed: false, world });
    }
    const cause: Rejection = { ...verdict.rejection, detail: detailOf(verdict), inUse: { correlationId } };
    const { where } = verdict;
    const about = { correlationId, remoteAddress: listen(), cause, ...(where !== undefined && { where }) };
    if (this.#isObserved(cause)) {
      decisions.callObserved(about);
      return this.#admitted(call, { observed: true, world });
    }
    const sessionsEnded = callerIsAgent() ? liveSessions() : 0;
    // Before the cut, so that whoever reads of the cut finds here what brought it about.
    decisions.callRefused({ ...about, sessionsEnded });
    if (callerIsAgent()) overlay.drifted(verdict, { correlationId });
    throw new CallRefused(cause, callerIsAgent() ? wordsOf(verdict, cause) : wordsForStrangers(verdict, cause));
  }

  #admitted(call: ModelCall, { observed, world }: { observed: boolean; world: InUseWorld }): AdmittedCall {
    return { observed, recheck: () => this.standing() ?? this.#differsNow(call, world) };
  }

  /** Compares again only if what was compared with is another: a long prompt takes its time. */
  #differsNow(call: ModelCall, before: InUseWorld): Rejection | undefined {
    const rest = this.#deps.atRest();
    if (!rest.ok) return rest.rejection;
    const world = this.#world();
    if (world.measurement === before.measurement && world.baselines === before.baselines) return undefined;
    const verdict = checkInUse(call, world);
    return verdict.matches || this.#isObserved(verdict.rejection) ? undefined : verdict.rejection;
  }

  /** While drift in use stands, it hides what is measured at rest from the standing; here it counts. */
  #driftAtRest(): Rejection | undefined {
    const rest = this.#deps.atRest();
    if (!rest.ok) return rest.rejection;
    const { measurement, baselines, now, heldUnder } = this.#world();
    const { outcome } = matchBaseline(measurement, baselines, { now, heldUnder });
    if (outcome === 'match' || outcome === 'assurance_too_low') return undefined;
    return this.#deps.ownRejection();
  }

  /** @throws CallRefused where nothing can be compared */
  #world(): InUseWorld {
    const { atRest, state, self, clock, heldUnder, book } = this.#deps;
    const rest = atRest();
    if (!rest.ok) throw new CallRefused(rest.rejection);
    const known = state();
    if (known === undefined) throw new CallRefused(rejection('STATE_MISSING', 'no signed state has arrived yet'));
    return {
      measurement: rest.measurement,
      baselines: known.baselines.get(self) ?? [],
      now: clock.now(),
      heldUnder: heldUnder(),
      book,
    };
  }

  /** Observe mode waives drift, and only that. */
  #isObserved({ code }: Rejection): boolean {
    const { state, self, clock } = this.#deps;
    const until = state()?.agents.get(self)?.observeUntil ?? -Infinity;
    return driftDimension(code) !== undefined && clock.now() < until;
  }
}

function detailOf({ rejection: { detail }, where }: Mismatch): string {
  if (where?.byteOffset === undefined) return detail;
  const expected = where.expectedBytes === undefined ? '' : `, approved are ${where.expectedBytes}`;
  return `${detail}: it departs at byte ${where.byteOffset} (it has ${where.observedBytes}${expected})`;
}

/**
 * What a caller may know who need not be the agent: without positions and lengths, by which it could find out the
 * approved prompt, byte by byte.
 */
function wordsForStrangers({ rejection: { code, detail }, at }: Mismatch, { inUse }: Rejection): RefusalWords {
  const dimension = driftDimension(code);
  return {
    message: `${detail}. Nothing was sent to the model. Operators see where: ait explain --id ${inUse?.correlationId ?? ''}`,
    ...(at !== undefined && { param: at }),
    more: dimension === undefined ? {} : { dimension },
  };
}

/** What the agent's developer needs to find the place. Positions and lengths, never a digest or a text. */
function wordsOf({ rejection: cause, where, at }: Mismatch, { detail, inUse }: Rejection): RefusalWords {
  const dimension = driftDimension(cause.code);
  const places: Record<string, JsonValue> = {
    ...(dimension !== undefined && { dimension }),
    ...(where !== undefined && { prompt: where.prompt, observed_bytes: where.observedBytes }),
    ...(where?.byteOffset !== undefined && { byte_offset: where.byteOffset }),
    ...(where?.expectedBytes !== undefined && { expected_bytes: where.expectedBytes }),
    ...(where?.whitespaceOnly !== undefined && { whitespace_only: where.whitespaceOnly }),
  };
  return {
    message: `${detail}. Nothing was sent to the model. Operators see more: ait explain --id ${inUse?.correlationId ?? ''}`,
    ...(at !== undefined && { param: at }),
    more: places,
  };
}
