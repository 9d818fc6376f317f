import { checkBaseline, checkLifecycle, isRejection } from '../../domain/admission-checks.ts';
import type { SpiffeId } from '../../domain/agent-id.ts';
import { isInForce, type Baseline } from '../../domain/baseline.ts';
import { differencesBetween, meetsAssurance, DIMENSIONS, type Measurement } from '../../domain/measurement.ts';
import type { StateObject } from '../../domain/mesh-state.ts';
import type { RejectionCode } from '../../domain/rejection.ts';
import { createPolicyView, type PolicyView } from './policy-view.ts';

/** One running instance, as it reports itself. */
export interface ReportedInstance {
  readonly id: string;
  readonly agent: SpiffeId;
  /** `undefined`: not known yet. */
  readonly measurement: Measurement | undefined;
  /** The baseline that it says it equals: a retired one holds only those who were admitted under it. */
  readonly baseline?: string | undefined;
  readonly sessions: readonly ReportedSession[];
}

export interface ReportedSession {
  readonly peer: SpiffeId;
  readonly peerInstance: string;
  /** The reporting side's. */
  readonly role: 'dialler' | 'acceptor';
}

export interface ImpactQuestion {
  readonly before: readonly StateObject[];
  readonly after: readonly StateObject[];
  readonly reported: readonly ReportedInstance[];
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** Whose a certificate is, by its `x5t#S256`. Default: nobody's. */
  readonly instanceOf?: (thumbprint: string) => string | undefined;
}

/** A session that would end, told once although both sides report it. */
export interface EndingSession {
  readonly dialler: SpiffeId;
  readonly diallerInstance: string;
  readonly acceptor: SpiffeId;
  readonly acceptorInstance: string;
  /** What the sidecars would say. */
  readonly code: RejectionCode;
  /** Milliseconds since the epoch; `undefined`: as soon as the change is in force. */
  readonly at?: number;
  /** A revocation ends it: the brake never holds that up. */
  readonly revoked: boolean;
}

/** An instance that would get no new session. */
export interface RefusedInstance {
  readonly id: string;
  readonly agent: SpiffeId;
  readonly code: RejectionCode;
  readonly revoked: boolean;
}

export interface Impact {
  /** All that would end, those by revocation too. */
  readonly sessions: readonly EndingSession[];
  readonly instances: readonly RefusedInstance[];
  /** How many would end for another reason than a revocation: what the brake counts. */
  readonly ending: number;
  /** How many sessions stay open although one side would not be admitted again. */
  readonly draining: number;
  /** How many sessions are open. */
  readonly total: number;
}

/** What begins to bite within this time counts as well, in ms: no last notice could warn of it. */
const HORIZON_MS = 86_400_000;

/**
 * Whom a change of policy would cut, by the rules that the sidecars judge by. Pure. Errs on the side of saying that a
 * session ends: an unknown measurement counts as cut where anything that had been approved for its agent no longer is.
 *
 * What is already refused before the change is not its doing, and so not listed.
 */
export function computeImpact(question: ImpactQuestion): Impact {
  const { reported, now, instanceOf = () => undefined } = question;
  const views = {
    before: createPolicyView(question.before, instanceOf),
    after: createPolicyView(question.after, instanceOf),
    // As if nothing had changed but what is revoked.
    revoking: createPolicyView(revokingOnly(question.before, question.after), instanceOf),
  };
  const instances = new Map(reported.map((instance) => [instance.id, instance]));
  const sessions = distinctSessions(reported);
  const moments = [now, ...turningPoints(views, now)];
  const judges = moments.map((at) => new Judge(views, instances, at));

  const ending: EndingSession[] = [];
  let draining = 0;
  for (const session of sessions) {
    const judge = judges.find((each) => each.ends(session));
    const { dialler, acceptor } = session;
    if (judge !== undefined) {
      ending.push({
        dialler: dialler.agent,
        diallerInstance: dialler.id,
        acceptor: acceptor.agent,
        acceptorInstance: acceptor.id,
        code: judge.codeOf(session),
        ...(judge.at !== now && { at: judge.at }),
        revoked: judge.isRevoked(session),
      });
    } else if (judges[0]?.drains(session) === true) draining += 1;
  }
  const refused = reported.flatMap((instance): RefusedInstance[] => {
    const code = judges[0]?.refuses(instance);
    if (code === undefined) return [];
    return [{ id: instance.id, agent: instance.agent, code, revoked: judges[0]?.revokes(instance) === true }];
  });
  return {
    sessions: ending,
    instances: refused,
    ending: ending.filter(({ revoked }) => !revoked).length,
    draining,
    total: sessions.length,
  };
}

interface Views {
  readonly before: PolicyView;
  readonly after: PolicyView;
  readonly revoking: PolicyView;
}

interface Side {
  readonly id: string;
  readonly agent: SpiffeId;
}

interface DistinctSession {
  readonly dialler: Side;
  readonly acceptor: Side;
}

/** Answers for one moment, each about an instance or session once. */
class Judge {
  readonly at: number;
  readonly #views: Views;
  readonly #instances: ReadonlyMap<string, ReportedInstance>;
  readonly #known = new Map<string, RejectionCode | undefined>();

  constructor(views: Views, instances: ReadonlyMap<string, ReportedInstance>, at: number) {
    this.#views = views;
    this.#instances = instances;
    this.at = at;
  }

  ends(session: DistinctSession): boolean {
    return this.#session(session, 'before') === undefined && this.#session(session, 'after') !== undefined;
  }

  codeOf(session: DistinctSession): RejectionCode {
    return this.#session(session, 'after') ?? 'BASELINE_MISSING';
  }

  isRevoked(session: DistinctSession): boolean {
    return this.#session(session, 'revoking') !== undefined;
  }

  drains({ dialler, acceptor }: DistinctSession): boolean {
    return [dialler, acceptor].some((side) => this.refuses(side) !== undefined);
  }

  /** Why an instance would be admitted no more, if it would have been before. */
  refuses(side: Side): RejectionCode | undefined {
    return this.#side(side, 'before', false) === undefined ? this.#side(side, 'after', false) : undefined;
  }

  revokes(side: Side): boolean {
    return this.#side(side, 'revoking', false) !== undefined;
  }

  #session({ dialler, acceptor }: DistinctSession, which: keyof Views): RejectionCode | undefined {
    return (
      this.#side(dialler, which, true) ??
      this.#side(acceptor, which, true) ??
      this.#grant({ from: dialler.agent, to: acceptor.agent }, which)
    );
  }

  #grant(pair: { readonly from: SpiffeId; readonly to: SpiffeId }, which: keyof Views): RejectionCode | undefined {
    const { [which]: view, before } = this.#views;
    if (view.grants.decide(pair).allowed) return undefined;
    const waived = [pair.from, pair.to].some((agent) => view.observes(agent, this.at));
    // Without any grant left between them, two agents may not even be told of each other.
    const separated = which !== 'before' && before.areJoined(pair) && !view.areJoined(pair);
    return waived && !separated ? undefined : 'GRANT_MISSING';
  }

  #side({ id, agent }: Side, which: keyof Views, live: boolean): RejectionCode | undefined {
    const key = `${which} ${live} ${id} ${agent}`;
    if (this.#known.has(key)) return this.#known.get(key);
    const code = this.#judge({ id, agent }, which, live);
    this.#known.set(key, code);
    return code;
  }

  #judge({ id, agent }: Side, which: keyof Views, live: boolean): RejectionCode | undefined {
    const view = this.#views[which];
    if (view.isRevoked(agent, id)) return 'REVOKED';
    const inactive = checkLifecycle(agent, view);
    if (inactive !== undefined) return inactive.code;
    const instance = this.#instances.get(id);
    if (instance === undefined || instance.agent !== agent || instance.measurement === undefined) {
      return this.#unmeasured({ id, agent }, which, live);
    }
    const heldUnder = live ? instance.baseline : undefined;
    const found = checkBaseline(instance.measurement, view, { spiffeId: agent, now: this.at, heldUnder });
    if (!isRejection(found)) return undefined;
    return found.differences !== undefined && view.observes(agent, this.at) ? undefined : found.code;
  }

  /** Taken to be in order before; afterwards only if all that was approved still is, or more. */
  #unmeasured({ id, agent }: Side, which: keyof Views, live: boolean): RejectionCode | undefined {
    if (which === 'before') return undefined;
    const { before, [which]: after } = this.#views;
    const heldUnder = live ? this.#instances.get(id)?.baseline : undefined;
    const inForce = (view: PolicyView) =>
      (view.baselines.get(agent) ?? []).filter((baseline) => isInForce(baseline, this.at, heldUnder));
    const left = inForce(after);
    const lost = inForce(before).some((old) => !left.some((each) => admitsAllOf(each, old)));
    const watchedNoMore = before.observes(agent, this.at) && !after.observes(agent, this.at);
    return lost || watchedNoMore ? 'BASELINE_MISSING' : undefined;
  }
}

/** Whether whatever equals the old baseline is admitted by the other one. */
function admitsAllOf(other: Baseline, old: Baseline): boolean {
  return (
    differencesBetween(old.digests, other.digests).length === 0 &&
    DIMENSIONS.every((dimension) => meetsAssurance(old.minimumAssurance[dimension], other.minimumAssurance[dimension]))
  );
}

function revokingOnly(before: readonly StateObject[], after: readonly StateObject[]): readonly StateObject[] {
  const revoked = new Set(
    after.flatMap(({ kind, value }) => (kind === 'baseline' && value.state === 'revoked' ? [value.id] : [])),
  );
  const changed = before.map((object): StateObject => {
    if (object.kind !== 'baseline' || !revoked.has(object.value.id)) return object;
    return { kind: 'baseline', value: { ...object.value, state: 'revoked' } };
  });
  return [...changed, ...after.filter(({ kind }) => kind === 'revocation')];
}

/** Both sides report a session; two instances have at most one in each direction. */
function distinctSessions(reported: readonly ReportedInstance[]): readonly DistinctSession[] {
  const sessions = new Map<string, DistinctSession>();
  for (const { id, agent, sessions: own } of reported) {
    for (const { peer, peerInstance, role } of own) {
      const [us, them] = [
        { id, agent },
        { id: peerInstance, agent: peer },
      ];
      const [dialler, acceptor] = role === 'dialler' ? [us, them] : [them, us];
      sessions.set(`${dialler.id} ${acceptor.id}`, { dialler, acceptor });
    }
  }
  return [...sessions.values()];
}

/** The moments within the horizon at which a changed agent's approvals begin or end, or its observation ends. */
function turningPoints({ before, after }: Views, now: number): readonly number[] {
  const changed = [...new Set([...before.agents.keys(), ...after.agents.keys()])].filter((agent) =>
    differs(before, after, agent),
  );
  const times = changed.flatMap((agent) => [
    after.agents.get(agent)?.observeUntil,
    ...(after.baselines.get(agent) ?? []).flatMap(({ notBefore, notAfter }) => [notBefore, notAfter]),
  ]);
  const ahead = times.filter((at) => at !== undefined && at > now && at <= now + HORIZON_MS) as number[];
  return [...new Set(ahead)].toSorted((a, b) => a - b);
}

function differs(before: PolicyView, after: PolicyView, agent: SpiffeId): boolean {
  const said = ({ agents, baselines }: PolicyView) =>
    JSON.stringify([agents.get(agent)?.observeUntil, baselines.get(agent) ?? []]);
  return said(before) !== said(after);
}
