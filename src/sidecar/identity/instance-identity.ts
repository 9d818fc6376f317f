import type { Measurement } from '../../domain/measurement.ts';
import { rejection, type Rejection } from '../../domain/rejection.ts';
import { Due, after } from '../../platform/clock.ts';
import type { Membership } from '../../membership/join.ts';
import { SvidRenewal } from '../../membership/svid-renewal.ts';
import { Generation, type GenerationDeps } from './generation.ts';
import type { IdentitySource, PresentedIdentity } from './presented-identity.ts';

export interface InstanceIdentityDeps extends Omit<GenerationDeps, 'onToken'> {
  /** Spends a use of the join credential again: the way back when renewal is refused for good. */
  readonly rejoin: () => Promise<Membership>;
  /** A new SVID is in use: new connections show it. */
  readonly onRotated: () => void;
  /** The newest generation has a new token. */
  readonly onToken: () => void;
  /** Whether a session still shows this certificate (`x5t#S256`). */
  readonly inUse: (thumbprint: string) => boolean;
  /** Why we ourselves are not in order; `undefined`: we are. */
  readonly ownRejection: () => Rejection | undefined;
}

/** A connection that was being made during the rotation may still have to speak for the certificate that it showed. */
const LINGER_MS = 15_000;

/** Who this instance is: the SVID in use, its predecessors while sessions still show them, and what is measured. */
export class InstanceIdentity implements IdentitySource {
  readonly #deps: InstanceIdentityDeps;
  readonly #renewal: SvidRenewal;
  #current: Generation;
  /** With the moment from which on they are let go of when no session shows them. */
  readonly #older = new Map<Generation, Due>();
  #measurement: Measurement | undefined;
  readonly #waiting = new Set<() => void>();
  #due: Due;
  #renewing = false;
  #stopped = false;

  constructor(membership: Membership, deps: InstanceIdentityDeps) {
    this.#deps = deps;
    this.#renewal = new SvidRenewal(deps);
    this.#current = this.#generation(membership);
    this.#due = this.#renewal.dueFor(this.#current.membership);
  }

  get current(): Generation {
    return this.#current;
  }

  /** Once a second: renews what is due. Both clocks count: the wall clock may be set, and a machine may sleep. */
  tick(): void {
    for (const [generation, due] of this.#older) {
      if (due.reached() && !this.#deps.inUse(generation.thumbprint)) this.#letGo(generation);
    }
    for (const generation of [this.#current, ...this.#older.keys()]) generation.tick();
    if (this.#renewing || this.#stopped || !this.#due.reached()) return;
    this.#renewing = true;
    void this.#renew().finally(() => {
      this.#renewing = false;
    });
  }

  stop(): void {
    this.#stopped = true;
    for (const generation of [this.#current, ...this.#older.keys()]) generation.dispose();
  }

  measured(measurement: Measurement): void {
    this.#measurement = measurement;
    for (const generation of [this.#current, ...this.#older.keys()]) generation.measured(measurement);
    this.wake();
  }

  /** Whoever waits to show us looks again: standing, token or measurement has changed. */
  wake(): void {
    for (const look of this.#waiting) look();
  }

  trustChanged(): void {
    for (const generation of [this.#current, ...this.#older.keys()]) generation.trustChanged();
    if (this.#renewal.isVouchedFor(this.#current.membership)) return;
    this.#due = new Due(this.#deps.clock, 0);
    setImmediate(() => this.tick());
  }

  forExchange(withinMs: number, shown?: string): Promise<PresentedIdentity | Rejection> {
    return new Promise((resolve) => {
      const look = () => {
        const own = this.#deps.ownRejection();
        const hopeless = own !== undefined && own.code !== 'AIT_MISSING' && own.code !== 'STATE_MISSING';
        const generation = this.#showing(shown);
        if (!hopeless && !(own === undefined && generation.caughtUp)) return;
        finish(own ?? generation);
      };
      const finish = (result: PresentedIdentity | Rejection) => {
        clearTimeout(timer);
        this.#waiting.delete(look);
        resolve(result);
      };
      const giveUp = () =>
        finish(
          this.#deps.ownRejection() ?? rejection('AIT_MISSING', 'no token for the present measurement came in time'),
        );
      // An ordinary timer: a signal per exchange would live on for its whole time, long after the exchange.
      const timer = setTimeout(giveUp, withinMs).unref();
      this.#waiting.add(look);
      look();
    });
  }

  #showing(thumbprint: string | undefined): Generation {
    return [...this.#older.keys()].find((older) => older.thumbprint === thumbprint) ?? this.#current;
  }

  #generation(membership: Membership): Generation {
    const generation: Generation = new Generation(membership, {
      ...this.#deps,
      onToken: () => {
        // Sessions of an older certificate have to learn of their newer token, too.
        this.#deps.onToken();
        this.wake();
      },
    });
    this.#deps.metrics.certificateExpiry.set({ kind: 'svid' }, Math.floor(generation.notAfter / 1000));
    return generation;
  }

  async #renew(): Promise<void> {
    const { logger, metrics } = this.#deps;
    try {
      const membership = await this.#renewal.next(this.#current.membership, this.#current.channel());
      const previous = this.#current;
      this.#older.set(previous, new Due(this.#deps.clock, LINGER_MS));
      after({
        delayMs: previous.notAfter - this.#deps.clock.now(),
        run: () => this.#letGo(previous),
        keepAlive: false,
      });
      this.#current = this.#generation(membership);
      if (this.#measurement !== undefined) this.#current.measured(this.#measurement);
      metrics.certificateRotations.add({ kind: 'svid', result: 'ok' });
      logger.info('svid_renewed', { expires: new Date(this.#current.notAfter).toISOString() });
      this.#deps.onRotated();
      this.#due = this.#renewal.dueFor(this.#current.membership);
    } catch (error) {
      metrics.certificateRotations.add({ kind: 'svid', result: 'failed' });
      logger.warn('svid_renewal_failed', { error, expires: new Date(this.#current.notAfter).toISOString() });
      this.#due = this.#renewal.dueAfterFailure();
    }
  }

  #letGo(generation: Generation): void {
    generation.dispose();
    this.#older.delete(generation);
  }
}
