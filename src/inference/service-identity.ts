import { readSvid } from '../crypto/svid.ts';
import { createTlsContext, type TlsContext } from '../crypto/tls-context.ts';
import { parseTrustBundle } from '../crypto/trust-bundle.ts';
import { authorityId } from '../domain/agent-id.ts';
import { MeshError } from '../domain/mesh-error.ts';
import { AuthorityChannel, AuthorityError } from '../membership/authority-channel.ts';
import type { Enrollment } from '../membership/enrollment.ts';
import { tlsMaterialOf, type Membership } from '../membership/join.ts';
import { joinPatiently } from '../membership/patient-join.ts';
import { SvidRenewal } from '../membership/svid-renewal.ts';
import type { TrustStore } from '../membership/trust-store.ts';
import { after, Due, type Clock } from '../platform/clock.ts';
import type { Component } from '../platform/component.ts';
import type { Logger } from '../platform/logger.ts';
import type { RandomSource } from '../platform/random.ts';
import type { Readiness } from '../platform/readiness.ts';
import type { GetTrustBundleResponse__Output } from '../wire/generated/ait/v1/GetTrustBundleResponse.ts';
import { IdentityClient } from '../wire/services.ts';
import type { InferenceMetrics } from './inference-metrics.ts';
import type { KeptBundle } from './kept-bundle.ts';

export interface ServiceIdentityDeps {
  readonly enrollment: Enrollment;
  readonly kept: KeptBundle;
  readonly trust: TrustStore;
  readonly handshakeTimeoutMs: number;
  readonly readiness: Readiness;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly logger: Logger;
  readonly metrics: InferenceMetrics;
  /** The certificate that is shown, or whom we trust, has changed. */
  readonly onChange: () => void;
  /** The authority has revoked this instance or its certificate: nobody may be answered any more. */
  readonly onRevoked: () => void;
}

const TICK_MS = 1000;
/** How soon a root is known that came or went; a service has no Watch. ms */
const BUNDLE_INTERVAL_MS = 10_000;

/** Who the service is: its SVID, renewed in time, and the trust bundle, asked for again and again. */
export class ServiceIdentity implements Component {
  readonly name = 'membership';
  readonly #deps: ServiceIdentityDeps;
  readonly #renewal: SvidRenewal;
  readonly #stopping = new AbortController();
  #membership: Membership | undefined;
  #tls: TlsContext | undefined;
  #channel: AuthorityChannel | undefined;
  #renewAt: Due;
  #bundleAt: Due;
  #busy = false;
  #cancelTick: (() => void) | undefined;

  constructor(deps: ServiceIdentityDeps) {
    this.#deps = deps;
    this.#renewal = new SvidRenewal({ ...deps, rejoin: () => this.#join(this.#stopping.signal) });
    this.#renewAt = new Due(deps.clock, Infinity);
    this.#bundleAt = new Due(deps.clock, Infinity);
  }

  /** What new connections are shown. @throws MeshError `INTERNAL` before the service has joined */
  get tls(): TlsContext {
    this.#tls ??= createTlsContext({ ...tlsMaterialOf(this.#joined()), caPems: this.#deps.trust.rootPems });
    return this.#tls;
  }

  /** Joins, however long the authority takes to be there; a refusal that is final is an error. */
  async start(signal: AbortSignal): Promise<void> {
    this.#take(await this.#join(signal));
    this.#bundleAt = new Due(this.#deps.clock, BUNDLE_INTERVAL_MS);
    this.#arm();
  }

  stop(): Promise<void> {
    this.#stopping.abort(new Error('the service is stopping'));
    this.#cancelTick?.();
    this.#channel?.close();
    return Promise.resolve();
  }

  #arm(): void {
    const run = (): void => {
      void this.#tick().finally(() => {
        if (!this.#stopping.signal.aborted) this.#arm();
      });
    };
    this.#cancelTick = after({ delayMs: TICK_MS, keepAlive: false, run });
  }

  async #tick(): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    if (this.#bundleAt.reached()) await this.#refreshBundle();
    if (this.#renewAt.reached()) await this.#renew();
    this.#busy = false;
  }

  async #renew(): Promise<void> {
    const { logger, metrics } = this.#deps;
    try {
      this.#take(await this.#renewal.next(this.#joined(), this.#authority()));
      metrics.certificateRotations.add({ kind: 'svid', result: 'ok' });
      logger.info('svid_renewed', { expires: this.#expiry() });
    } catch (error) {
      metrics.certificateRotations.add({ kind: 'svid', result: 'failed' });
      logger.warn('svid_renewal_failed', { error, expires: this.#expiry() });
      this.#renewAt = this.#renewal.dueAfterFailure();
      this.#noteRevocation(error);
    }
  }

  async #refreshBundle(): Promise<void> {
    const { enrollment, trust, kept, clock, logger, metrics, onChange } = this.#deps;
    this.#bundleAt = new Due(clock, BUNDLE_INTERVAL_MS);
    const channel = this.#authority();
    try {
      const client = channel.client(IdentityClient);
      const { trustBundle } = await channel.ask<GetTrustBundleResponse__Output>((callback) =>
        client.GetTrustBundle({}, callback),
      );
      const bundle = parseTrustBundle(trustBundle, enrollment.trustDomain);
      metrics.bundleSuccess.set(Math.floor(clock.now() / 1000));
      if (!trust.replace([bundle])) return;
      this.#tls = undefined;
      await kept.keep(bundle);
      logger.info('trust_bundle_changed', { roots: bundle.roots.length });
      if (!this.#renewal.isVouchedFor(this.#joined())) this.#renewAt = new Due(clock, 0);
      onChange();
    } catch (error) {
      logger.warn('trust_bundle_not_renewed', { error });
      // A connection that failed is not asked twice.
      channel.close();
      this.#noteRevocation(error);
    }
  }

  #noteRevocation(error: unknown): void {
    if (!(error instanceof AuthorityError) || error.reason !== 'REVOKED') return;
    this.#deps.readiness.block('revoked', error.message);
    this.#deps.logger.error('revoked', { detail: error.message, next: 'nobody is answered any more' });
    this.#deps.onRevoked();
  }

  async #join(signal: AbortSignal): Promise<Membership> {
    const { enrollment, kept, trust } = this.#deps;
    const known = trust.rootPins(enrollment.trustDomain);
    const knownRoots = known.length > 0 ? known : await kept.rootPins(enrollment.trustDomain);
    const options = { ...this.#deps, authorityAddress: enrollment.authority, knownRoots };
    const membership = await joinPatiently(options, signal);
    trust.replace([membership.bundle]);
    await kept.keep(membership.bundle);
    return membership;
  }

  #take(membership: Membership): void {
    this.#membership = membership;
    this.#tls = undefined;
    this.#channel?.close();
    this.#channel = undefined;
    this.#renewAt = this.#renewal.dueFor(membership);
    const { notAfter } = readSvid(membership.certificateDer);
    this.#deps.metrics.certificateExpiry.set({ kind: 'svid' }, Math.floor(notAfter / 1000));
    this.#deps.onChange();
  }

  /** The connection to the authority under the present SVID, a new one if the last broke. */
  #authority(): AuthorityChannel {
    if (this.#channel !== undefined) return this.#channel;
    const { enrollment, trust, handshakeTimeoutMs, clock } = this.#deps;
    const channel = new AuthorityChannel({
      address: enrollment.authority,
      expected: authorityId(enrollment.trustDomain),
      context: this.tls,
      roots: trust.roots,
      handshakeTimeoutMs,
      now: () => clock.now(),
    });
    this.#channel = channel;
    void channel.closed.then(() => {
      if (this.#channel === channel) this.#channel = undefined;
    });
    return channel;
  }

  #joined(): Membership {
    if (this.#membership !== undefined) return this.#membership;
    throw new MeshError('INTERNAL', 'the identity was used before the service had joined');
  }

  #expiry(): string {
    return new Date(readSvid(this.#joined().certificateDer).notAfter).toISOString();
  }
}
