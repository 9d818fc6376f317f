import type { SpiffeId, TrustDomain } from '../../domain/agent-id.ts';
import type { StateHead } from '../../domain/mesh-state.ts';
import { isMeshError } from '../../domain/mesh-error.ts';
import { contentDigest } from '../../domain/state-head.ts';
import { parseStateHead, stateHeadToJson } from '../../domain/state-objects.ts';
import { after, type Clock } from '../../platform/clock.ts';
import type { Component } from '../../platform/component.ts';
import type { Logger } from '../../platform/logger.ts';
import type { Change, StateStore } from '../../platform/store.ts';
import type { AuthorityMetrics } from '../authority-metrics.ts';
import { viewFor, type StateSource } from './recipient-view.ts';
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

/** What one agent gets next. */
interface NextHead {
  readonly agent: SpiffeId;
  readonly head: StateHead;
  /** Only the time is new. */
  readonly refresh: boolean;
}

interface SignedHead {
  readonly compact: string;
  readonly keyId: string;
}

const COLLECTION = 'state_heads';
/**
 * How fast the time of heads goes on when the wall clock is behind that of the last one, as it is after it was set back.
 * Somewhat slower than time itself, so that heads of a clock that had been ahead come back to the right time.
 */
const BEHIND_SPEED = 0.9;
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

  get #isDirty(): boolean {
    return this.#dirty === 'everybody' || this.#dirty.size > 0;
  }

  #publishSoon(): void {
    if (this.#stopped || this.#running !== undefined) return;
    this.#running = this.#run().finally(() => {
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
      try {
        await this.#publish(due === 'everybody' ? [...this.#subscribers.keys()] : [...due]);
      } catch (error) {
        this.#options.logger.error('state_not_published', { error });
        after({ delayMs: RETRY_MS, keepAlive: false, run: () => this.changed() });
        return;
      }
    }
  }

  async #publish(agents: readonly SpiffeId[]): Promise<void> {
    const { signer, source } = this.#options;
    const lasts = new Map<SpiffeId, StateHead | undefined>();
    for (const agent of agents) {
      if (this.#subscribers.has(agent)) lasts.set(agent, this.#current.get(agent)?.head ?? (await this.#stored(agent)));
    }
    // From here to the commit nothing waits: all heads are of one moment.
    const state = source();
    const next: NextHead[] = [];
    for (const [agent, last] of lasts) {
      const objects = viewFor(agent, state).map((object) => signer.digestOf(object));
      const head = this.#nextHead(agent, [...new Set(objects)].toSorted(), last);
      if (head === undefined && this.#current.has(agent)) continue;
      const chosen = head ?? last;
      if (chosen !== undefined) next.push({ agent, head: chosen, refresh: isRefresh(last, chosen) });
    }
    // What is stored already is only sent: after a restart that is everybody's state.
    const storing = this.#store(next.filter(({ agent, head }) => head !== lasts.get(agent)));
    const signed = await this.#signUntil(storing, next);
    try {
      await storing;
    } catch (error) {
      // What is in force may go on: a refresh has the revision and the content of a head that is stored.
      if (isMeshError(error, 'STATE_NOT_WRITTEN')) {
        await this.#send(
          next.filter(({ refresh }) => refresh),
          signed,
        );
      }
      throw error;
    }
    await this.#send(next, signed);
  }

  async #store(heads: readonly NextHead[]): Promise<void> {
    if (heads.length === 0) return;
    const changes = heads.map(({ agent, head }): Change => {
      return { kind: 'put', collection: COLLECTION, key: agent, value: stateHeadToJson(head) };
    });
    await this.#options.store.commit(changes);
  }

  /** Signs while the disk is busy: a signature may be made early, and is shown to nobody before the head is stored. */
  async #signUntil(stored: Promise<void>, heads: readonly NextHead[]): Promise<ReadonlyMap<StateHead, SignedHead>> {
    const { signer } = this.#options;
    const signed = new Map<StateHead, SignedHead>();
    let isOver = false;
    const over = () => {
      isOver = true;
    };
    void stored.then(over, over);
    for (const { head } of heads) {
      if (signed.size % SENT_TOGETHER === 0) await turnOfTheLoop();
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

  /** `undefined` where the last head still says it all. */
  #nextHead(agent: SpiffeId, objects: readonly string[], last: StateHead | undefined): StateHead | undefined {
    const { trustDomain, clock, outageToleranceMs, epoch } = this.#options;
    const content = last !== undefined && sameList(objects, last.objects) ? last.content : contentDigest(objects);
    // Never before the last one, also when the clock was set back: a sidecar refuses an older signature.
    // Nor does it stand still then: those whose clocks are right would run out of state until ours comes back.
    const passed = clock.monotonic() - (this.#signedAt.get(agent) ?? this.#startedAt);
    const issuedAt = Math.max(clock.now(), last === undefined ? 0 : last.issuedAt + Math.floor(passed * BEHIND_SPEED));
    const notAfter = issuedAt + outageToleranceMs;
    const base = { domain: trustDomain, recipient: agent, epoch, content, issuedAt, notAfter, objects };
    if (last === undefined) return { ...base, revision: 1, previous: null };
    if (last.epoch < epoch) return { ...base, revision: last.revision + 1, previous: null };
    if (last.content !== content) {
      return { ...base, revision: last.revision + 1, previous: { revision: last.revision, content: last.content } };
    }
    const due = notAfter - last.notAfter >= outageToleranceMs / 3 || last.notAfter > notAfter;
    return due ? { ...base, revision: last.revision, previous: last.previous } : undefined;
  }

  async #stored(agent: SpiffeId): Promise<StateHead | undefined> {
    const json = await this.#options.store.get(COLLECTION, agent);
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

function sameList(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((item, index) => item === b[index]);
}

/** Whether only the time is new. */
function isRefresh(last: StateHead | undefined, next: StateHead): boolean {
  return last?.epoch === next.epoch && last.revision === next.revision && last.content === next.content;
}
