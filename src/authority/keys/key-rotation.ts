import type { TrustDomain } from '../../domain/agent-id.ts';
import { after, type Clock } from '../../platform/clock.ts';
import type { Component } from '../../platform/component.ts';
import type { Logger } from '../../platform/logger.ts';
import type { AuthorityMetrics } from '../authority-metrics.ts';
import type { CertificateAuthority } from './certificate-authority.ts';
import { createKey } from './key-material.ts';
import {
  advance,
  isRotating,
  KEY_KINDS,
  KEY_PHASES,
  publish,
  replaceAll,
  rotationDueAt,
  type KeyChange,
  type KeyKind,
  type KeyRing,
  type RingKey,
} from './key-ring.ts';
import type { Lifetimes } from './lifetimes.ts';

export interface KeyRotationOptions {
  readonly authority: CertificateAuthority;
  readonly lifetimes: Lifetimes;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: AuthorityMetrics;
}

export type RotationAnswer =
  | { readonly ok: true; readonly changes: readonly KeyChange[] }
  | { readonly ok: false; readonly code: 'ROTATION_UNDER_WAY'; readonly detail: string };

/** One key as operators see it. */
export interface KeyReport {
  readonly kind: KeyKind;
  readonly id: string;
  readonly phase: RingKey['phase'];
  /** All times in milliseconds since the epoch. */
  readonly createdAt: number;
  readonly notAfter: number | undefined;
  /** When it enters the next phase, or its replacement begins; `undefined`: not by itself. */
  readonly nextChangeAt: number | undefined;
}

/** The wall clock may be set, so it is looked at again and again, in ms; also the least time between two looks. */
const LONGEST_WAIT_MS = 30_000;
const SHORTEST_WAIT_MS = 50;
/** After a failure to store, in ms. */
const RETRY_MS = 1_000;

/** Takes keys through their phases when they are due, begins rotations by age, and those that an operator asks for. */
export class KeyRotation implements Component {
  readonly name = 'key rotation';
  readonly #options: KeyRotationOptions;
  #cancelTimer: (() => void) | undefined;
  #stopped = false;

  constructor(options: KeyRotationOptions) {
    this.#options = options;
    options.authority.onChange((changes) => this.#note(changes));
  }

  /** What fell due while the authority was not running happens now. */
  async start(): Promise<void> {
    this.#measure();
    await this.tick();
    this.#arm();
  }

  stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelTimer?.();
    return Promise.resolve();
  }

  /** Does what is due. */
  tick(): Promise<readonly KeyChange[]> {
    const { authority, clock, lifetimes } = this.#options;
    return authority.change((ring) => {
      const now = clock.now();
      const advanced = advance(ring, { now, lifetimes });
      const due = KEY_KINDS.filter((kind) => now >= (rotationDueAt(advanced, kind, lifetimes) ?? Infinity));
      return due.reduce((next, kind) => this.#begin(next, kind), advanced);
    });
  }

  /**
   * Begins the replacement of the keys of one kind. `compromised`: without any overlap, also while another is under
   * way; what the old keys signed is believed by nobody from now on.
   */
  async rotate(kind: KeyKind, { compromised }: { readonly compromised: boolean }): Promise<RotationAnswer> {
    const { authority, logger } = this.#options;
    let refused = false;
    const changes = await authority.change((ring) => {
      refused = !compromised && isRotating(ring, kind);
      if (refused) return ring;
      return compromised ? this.#begin(ring, kind, replaceAll) : this.#begin(ring, kind);
    });
    if (refused) {
      const detail = `the ${kind} key is being replaced already; \`ait certs show\` tells how far it is`;
      return { ok: false, code: 'ROTATION_UNDER_WAY', detail };
    }
    if (compromised) logger.warn('keys_replaced', { kind, reason: 'an operator called them compromised' });
    return { ok: true, changes };
  }

  /** Public facts only. */
  report(): readonly KeyReport[] {
    const { authority, lifetimes } = this.#options;
    const { ring } = authority;
    return ring.keys.map(({ kind, id, phase, createdAt, notAfter, endsAt }) => {
      const nextChangeAt = phase === 'active' ? rotationDueAt(ring, kind, lifetimes) : endsAt;
      return { kind, id, phase, createdAt, notAfter, nextChangeAt };
    });
  }

  #begin(ring: KeyRing, kind: KeyKind, how: typeof publish = publish): KeyRing {
    const { clock, lifetimes } = this.#options;
    const now = clock.now();
    const trustDomain: TrustDomain = ring.trustDomain;
    return how(ring, { kind, material: createKey(kind, { trustDomain, now }), now, lifetimes });
  }

  #note(changes: readonly KeyChange[]): void {
    const { logger, metrics } = this.#options;
    for (const { key, phase } of changes) {
      metrics.keyRotations.add({ kind: key.kind, phase });
      const until = phase === 'gone' || key.endsAt === undefined ? {} : { until: new Date(key.endsAt).toISOString() };
      logger.info('key_phase_changed', { kind: key.kind, key_id: key.id, phase, ...until });
    }
    this.#measure();
    this.#arm();
  }

  #measure(): void {
    const { authority, metrics } = this.#options;
    for (const phase of KEY_PHASES) {
      const root = authority.ring.keys.find((key) => key.kind === 'root' && key.phase === phase);
      if (root?.notAfter === undefined) metrics.certificateExpiry.remove({ kind: 'root', phase });
      else metrics.certificateExpiry.set({ kind: 'root', phase }, root.notAfter / 1000);
    }
  }

  #arm(waitMs?: number): void {
    this.#cancelTimer?.();
    if (this.#stopped) return;
    const next = Math.min(...this.report().map(({ nextChangeAt = Infinity }) => nextChangeAt));
    const untilNext = Math.max(next - this.#options.clock.now(), SHORTEST_WAIT_MS);
    this.#cancelTimer = after({
      delayMs: waitMs ?? Math.min(untilNext, LONGEST_WAIT_MS),
      keepAlive: false,
      run: () => {
        this.tick().then(
          () => this.#arm(),
          (error: unknown) => {
            this.#options.logger.error('keys_not_rotated', { error });
            this.#arm(RETRY_MS);
          },
        );
      },
    });
  }
}
