import type { SpiffeId, TrustDomain } from '../../domain/agent-id.ts';
import type { StateHead } from '../../domain/mesh-state.ts';
import { isMeshError } from '../../domain/mesh-error.ts';
import { parseStateHead } from '../../domain/state-objects.ts';
import { after, type Clock } from '../../platform/clock.ts';
import type { Component } from '../../platform/component.ts';
import type { Logger } from '../../platform/logger.ts';
import type { StateStore } from '../../platform/store.ts';
import type { AuthorityMetrics } from '../authority-metrics.ts';
import { changeOfHead, HEADS, isRefresh, nextHead, type NextHead } from './next-head.ts';
import { viewFor, type StateSource } from './recipient-view.ts';
import type { StoredAlongside } from '../policy/stored-alongside.ts';
import type { StateSigner } from '../keys/state-signer.ts';

export interface StatePublisherOptions {
  readonly trustDomain: TrustDomain;
  readonly store: StateStore;
  readonly signer: StateSigner;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: AuthorityMetrics;
  /** How long a sidecar may go on without hearing from us, in ms. */
  readonly outageToleranceMs: number;
  /** Raised by an operator who restored the authority from a backup. */
  readonly epoch: number;
  /** What the state is made of, now. */
  readonly source: () => StateSource;
}

/** One state of one recipient, ready to be sent. */
export interface Publication {
  readonly head: StateHead;
  readonly signedHead: string;
}

/** Somebody who wants every publication for one agent; called with the newest only, never with an older one again. */
export interface Subscriber {
  readonly agent: SpiffeId;
  publish(publication: Publication): void;
}

interface SignedHead {
  readonly compact: string;
  readonly keyId: string;
}

const NOTHING_ALONGSIDE: StoredAlongside = { changes: [], settled: () => undefined };
/** After a failure to store or sign, in ms. */
const RETRY_MS = 1_000;
/** How long a change that is no decision may wait for others, in ms: a fleet that starts joins one by one. */
const GATHER_MS = 50;
/** So many heads are signed between two turns of the event loop. */
const SENT_TOGETHER = 8;

/**
 * Turns the authority's state into signed heads, one line of revisions per recipient. A head is stored before it is
 * sent, so that no restart can give one revision two contents. Only agents that somebody watches for cost anything.
 */
export class StatePublisher implements Component {
  readonly name = 'state publisher';
  readonly #options: StatePublisherOptions;
  readonly #subscribers = new Map<SpiffeId, Set<Subscriber>>();
  readonly #current = new Map<SpiffeId, Publication>();
  /** When the current head of an agent was signed, by the monotonic clock. */
  readonly #signedAt = new Map<SpiffeId, number>();
  readonly #startedAt: number;
  #running: Promise<void> | undefined;
  /** Whose state may be another than the one that was published. */
  #dirty: Set<SpiffeId> | 'everybody' = new Set();
  #stopped = false;
  #cancelTimer: (() => void) | undefined;
  #cancelGathering: (() => void) | undefined;

  constructor(options: StatePublisherOptions) {
    this.#options = options;
    this.#startedAt = options.clock.monotonic();
  }

  start(): Promise<void> {
    this.#armTimer();
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelTimer?.();
    this.#cancelGathering?.();
    await this.#running;
  }

  /** Begins with the state as it is. @returns a function that ends it. */
  subscribe(subscriber: Subscriber): () => void {
    const { agent } = subscriber;
    const set = this.#subscribers.get(agent) ?? new Set();
    this.#subscribers.set(agent, set.add(subscriber));
    this.#options.metrics.watchers.add(1);
    const current = this.#current.get(agent);
    if (current !== undefined) subscriber.publish(current);
    // Also where there is a current one: it may be about to be replaced. What others have does not change by it.
    if (this.#dirty !== 'everybody') this.#dirty.add(agent);
    this.#publishSoon();
    return () => {
      if (!set.delete(subscriber)) return;
      this.#options.metrics.watchers.add(-1);
      if (set.size > 0) return;
      this.#subscribers.delete(agent);
      this.#current.delete(agent);
    };
  }

  /** Something in the state may be different. Several calls in a row cost one pass. */
  changed(): void {
    this.#dirty = 'everybody';
    this.#publishSoon();
  }

  /** As {@link changed}, for what may wait a moment: who is there and where, but not what somebody decided. */
  changedInPassing(): void {
    if (this.#stopped) return;
    this.#cancelGathering ??= after({ delayMs: GATHER_MS, keepAlive: false, run: () => this.changed() });
  }

  /**
   * Heads of the state that a change will bring, to be stored in one writing with the change: they are sent as soon as it
   * is in force, and are signed meanwhile. Nothing else is published until then: one revision must not have two contents.
   * Whoever has no head yet, and whatever else has changed by then, is left to {@link changed}.
   *
   * @param state as it will be
   */
  prepare(state: StateSource): StoredAlongside {
    if (this.#stopped || this.#running !== undefined) return NOTHING_ALONGSIDE;
    const next = this.#tryNextHeads(state);
    if (next.length === 0) return NOTHING_ALONGSIDE;
    let settled = (_stored: boolean): void => undefined;
    const stored = new Promise<boolean>((resolve) => (settled = resolve));
    this.#runOnce(async () => {
      const signed = await this.#signUntil(stored, next);
      if (await stored) await this.#send(next, signed);
    });
    return { changes: next.map(changeOfHead), settled };
  }

  get #isDirty(): boolean {
    return this.#dirty === 'everybody' || this.#dirty.size > 0;
  }

  #publishSoon(): void {
    if (this.#stopped || this.#running !== undefined) return;
    this.#runOnce(() => this.#run());
  }

  #runOnce(pass: () => Promise<void>): void {
    const failed = (error: unknown) => {
      this.#options.logger.error('state_not_published', { error });
      after({ delayMs: RETRY_MS, keepAlive: false, run: () => this.changed() });
    };
    this.#running = pass()
      .catch(failed)
      .finally(() => {
        this.#running = undefined;
        if (this.#isDirty) this.#publishSoon();
      });
  }

  async #run(): Promise<void> {
    // One turn of the loop later, so that what changes together is published together.
    await turnOfTheLoop();
    while (this.#isDirty && !this.#stopped) {
      const due = this.#dirty;
      this.#dirty = new Set();
      if (due === 'everybody') {
        this.#cancelGathering?.();
        this.#cancelGathering = undefined;
      }
      await this.#publish(due === 'everybody' ? [...this.#subscribers.keys()] : [...due]);
    }
  }

  async #publish(agents: readonly SpiffeId[]): Promise<void> {
    const { store, source } = this.#options;
    const lasts = new Map<SpiffeId, StateHead | undefined>();
    for (const agent of agents) {
      if (this.#subscribers.has(agent)) lasts.set(agent, this.#current.get(agent)?.head ?? (await this.#stored(agent)));
    }
    // From here to the commit nothing waits: all heads are of one moment.
    const next = this.#nextHeads(lasts, source());
    // What is stored already is only sent: after a restart that is everybody's state.
    const changes = next.filter(({ agent, head }) => head !== lasts.get(agent)).map(changeOfHead);
    const storing = changes.length > 0 ? store.commit(changes) : Promise.resolve();
    const signed = await this.#signUntil(storing, next);
    try {
      await storing;
    } catch (error) {
      // What is in force may go on: a refresh has the revision and the content of a head that is stored.
      const refreshes = isMeshError(error, 'STATE_NOT_WRITTEN') ? next.filter(({ refresh }) => refresh) : [];
      await this.#send(refreshes, signed);
      throw error;
    }
    await this.#send(next, signed);
  }

  /** A state that cannot be published must not keep a revocation from being stored; what is wrong comes up again in {@link changed}. */
  #tryNextHeads(state: StateSource): readonly NextHead[] {
    try {
      return this.#nextHeads(new Map([...this.#current].map(([agent, { head }]) => [agent, head])), state);
    } catch (error) {
      this.#options.logger.error('state_not_prepared', { error });
      return [];
    }
  }

  #nextHeads(lasts: ReadonlyMap<SpiffeId, StateHead | undefined>, state: StateSource): readonly NextHead[] {
    const { signer, clock, trustDomain, epoch, outageToleranceMs } = this.#options;
    return [...lasts].flatMap(([agent, last]): NextHead[] => {
      const objects = [...new Set(viewFor(agent, state).map((object) => signer.digestOf(object)))].toSorted();
      const passedMs = clock.monotonic() - (this.#signedAt.get(agent) ?? this.#startedAt);
      const question = { trustDomain, agent, epoch, objects, last, now: clock.now(), passedMs, outageToleranceMs };
      const head = nextHead(question);
      if (head === undefined && this.#current.has(agent)) return [];
      const chosen = head ?? last;
      return chosen === undefined ? [] : [{ agent, head: chosen, refresh: isRefresh(last, chosen) }];
    });
  }

  /** Signs while the disk is busy: a signature may be made early, and is shown to nobody before the head is stored. */
  async #signUntil(stored: Promise<unknown>, heads: readonly NextHead[]): Promise<ReadonlyMap<StateHead, SignedHead>> {
    const { signer } = this.#options;
    const signed = new Map<StateHead, SignedHead>();
    let isOver = false;
    const over = () => {
      isOver = true;
    };
    void stored.then(over, over);
    for (const { head } of heads) {
      // One a turn: every step of the writing passes through the same loop.
      await turnOfTheLoop();
      if (isOver) break;
      signed.set(head, { compact: signer.signHead(head), keyId: signer.keyId });
    }
    return signed;
  }

  /** Every few heads what was written goes out: the first sidecars act while the last heads are being signed. */
  async #send(heads: readonly NextHead[], signed: ReadonlyMap<StateHead, SignedHead>): Promise<void> {
    const { signer, metrics, clock } = this.#options;
    for (const [index, { agent, head, refresh }] of heads.entries()) {
      if (index > 0 && index % SENT_TOGETHER === 0) await turnOfTheLoop();
      const subscribers = this.#subscribers.get(agent);
      if (subscribers === undefined) continue;
      const early = signed.get(head);
      // The key may have been replaced in between.
      const signedHead = early?.keyId === signer.keyId ? early.compact : signer.signHead(head);
      const publication = { head, signedHead };
      metrics.headsSigned.add({ kind: refresh ? 'refresh' : 'new' });
      this.#current.set(agent, publication);
      this.#signedAt.set(agent, clock.monotonic());
      for (const subscriber of subscribers) subscriber.publish(publication);
    }
    signer.forgetAllBut([...this.#current.values()].map(({ head }) => head));
  }

  async #stored(agent: SpiffeId): Promise<StateHead | undefined> {
    const json = await this.#options.store.get(HEADS, agent);
    return json === undefined ? undefined : parseStateHead(json);
  }

  #armTimer(): void {
    if (this.#stopped) return;
    const delayMs = Math.min(this.#options.outageToleranceMs / 10, 30_000);
    this.#cancelTimer = after({
      delayMs,
      keepAlive: false,
      run: () => {
        this.changed();
        this.#armTimer();
      },
    });
  }
}

function turnOfTheLoop(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
