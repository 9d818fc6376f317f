import { parseTrustDomain } from '../../../../src/domain/agent-id.ts';
import { createAuthorityMetrics } from '../../../../src/authority/authority-metrics.ts';
import { CertificateAuthority } from '../../../../src/authority/keys/certificate-authority.ts';
import { KeyRotation } from '../../../../src/authority/keys/key-rotation.ts';
import type { KeyKind } from '../../../../src/authority/keys/key-ring.ts';
import type { Lifetimes } from '../../../../src/authority/keys/lifetimes.ts';
import { createRegistry } from '../../../../src/platform/metrics-registry.ts';
import { systemRandom } from '../../../../src/platform/random.ts';
import type { StateStore } from '../../../../src/platform/store.ts';
import { MemoryStore } from '../../../fakes/memory-store.ts';
import { createLogBook } from '../../../support/authority-harness.ts';

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;
export const LIFETIMES: Lifetimes = {
  outageToleranceMs: HOUR,
  aitMs: 1.5 * HOUR,
  svidMs: 3 * HOUR,
  keyRotationMs: 0,
};
export const DOMAIN = parseTrustDomain('acme.example');

/** An authority's keys under a clock of the test's, over a store that outlives it. */
export class KeyWorld {
  now = Date.UTC(2026, 0, 15);
  lifetimes = LIFETIMES;
  readonly store: StateStore;
  readonly log = createLogBook();
  authority!: CertificateAuthority;
  rotation!: KeyRotation;

  constructor(store: StateStore = new MemoryStore()) {
    this.store = store;
  }

  static async open(lifetimes: Lifetimes = LIFETIMES): Promise<KeyWorld> {
    const world = new KeyWorld();
    world.lifetimes = lifetimes;
    await world.start();
    return world;
  }

  /** As after `kill -9`: only the store is left. What is due is done, as at every start. */
  async start(): Promise<void> {
    const clock = { now: () => this.now, monotonic: () => this.now };
    const { store, lifetimes } = this;
    const base = { trustDomain: DOMAIN, store, clock, random: systemRandom, lifetimes };
    this.authority = await CertificateAuthority.open(base);
    const metrics = createAuthorityMetrics(createRegistry({ defaultMetrics: false }));
    this.rotation = new KeyRotation({ authority: this.authority, lifetimes, clock, logger: this.log.logger, metrics });
    await this.rotation.start();
    await this.rotation.stop();
  }

  /** Time passes, and the timer fires. */
  async pass(ms: number): Promise<void> {
    this.now += ms;
    await this.rotation.tick();
  }

  /** `published active`, oldest first. */
  phases(kind: KeyKind): string {
    return this.#of(kind)
      .map(({ phase }) => phase)
      .join(' ');
  }

  ids(kind: KeyKind): readonly string[] {
    return this.#of(kind).map(({ id }) => id);
  }

  /** When the one key in this phase enters the next. */
  endOf(kind: KeyKind, phase: string): number {
    const key = this.#of(kind).find((each) => each.phase === phase);
    if (key?.endsAt === undefined) throw new Error(`no end of a ${phase} ${kind} key`);
    return key.endsAt;
  }

  #of(kind: KeyKind) {
    return this.authority.ring.keys.filter((key) => key.kind === kind);
  }
}
