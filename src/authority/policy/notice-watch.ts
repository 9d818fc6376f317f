import { after, type Clock } from '../../platform/clock.ts';
import type { Component } from '../../platform/component.ts';
import type { Logger } from '../../platform/logger.ts';
import type { Change, StateStore } from '../../platform/store.ts';
import type { AuthorityMetrics } from '../authority-metrics.ts';
import { findNotices, NOTICE_KINDS, thresholdOf, type Notice, type NoticeSources } from './notices.ts';

export interface NoticeWatchOptions {
  readonly store: StateStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: AuthorityMetrics;
  readonly sources: () => Promise<Omit<NoticeSources, 'now'>>;
  /** How often it looks, in ms. Default 60 000. */
  readonly intervalMs?: number;
}

const COLLECTION = 'notices_told';
const INTERVAL_MS = 60_000;

/**
 * Says ahead of time what will end: once 7 days ahead and once 24 hours ahead, also if the authority was restarted in
 * between. An end that is moved is told again.
 */
export class NoticeWatch implements Component {
  readonly name = 'notices';
  readonly #options: NoticeWatchOptions;
  #running: Promise<void> | undefined;
  #cancelTimer: (() => void) | undefined;
  #stopped = false;

  constructor(options: NoticeWatchOptions) {
    this.#options = options;
  }

  start(): Promise<void> {
    this.look();
    this.#armTimer();
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelTimer?.();
    await this.#running;
  }

  /** All that will end, the next end first. */
  async notices(): Promise<readonly Notice[]> {
    return findNotices({ ...(await this.#options.sources()), now: this.#options.clock.now() });
  }

  /** Looks now; while it does, further calls do nothing. */
  look(): void {
    if (this.#stopped || this.#running !== undefined) return;
    this.#running = this.#look()
      .catch((error: unknown) => this.#options.logger.error('notices_not_told', { error }))
      .finally(() => {
        this.#running = undefined;
      });
  }

  async #look(): Promise<void> {
    const { store, clock, logger, metrics } = this.#options;
    const now = clock.now();
    const notices = await this.notices();
    for (const kind of NOTICE_KINDS) {
      const first = notices.find((notice) => notice.kind === kind);
      if (first === undefined) metrics.noticeEnd.remove({ kind });
      else metrics.noticeEnd.set({ kind }, first.endsAt / 1000);
    }
    const told = new Map((await store.list(COLLECTION)).map(({ key, value }) => [key, value]));
    const due = notices.flatMap((notice) => {
      const threshold = thresholdOf(notice, now);
      return threshold === undefined ? [] : [{ notice, threshold, key: keyOf(notice) }];
    });
    const fresh = due.filter(({ key, threshold }) => told.get(key) !== threshold);
    for (const { notice, threshold } of fresh) {
      const { kind, id, agent, endsAt, consequence } = notice;
      const fields = { kind, id, agent, ahead: threshold, ends_at: new Date(endsAt).toISOString(), consequence };
      logger.warn('ends_soon', fields);
    }
    // Told first and stored afterwards: a word too many after a crash is better than none.
    const current = new Set(due.map(({ key }) => key));
    const gone = [...told.keys()].filter((key) => !current.has(key));
    await store.commit([
      ...fresh.map(({ key, threshold }): Change => ({ kind: 'put', collection: COLLECTION, key, value: threshold })),
      ...gone.map((key): Change => ({ kind: 'delete', collection: COLLECTION, key })),
    ]);
  }

  #armTimer(): void {
    if (this.#stopped) return;
    const run = (): void => {
      this.look();
      this.#armTimer();
    };
    this.#cancelTimer = after({ delayMs: this.#options.intervalMs ?? INTERVAL_MS, keepAlive: false, run });
  }
}

function keyOf({ kind, id, endsAt }: Notice): string {
  return `${kind} ${endsAt} ${id}`;
}
