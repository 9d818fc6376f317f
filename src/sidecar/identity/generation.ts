import { signProof } from '../../crypto/proof.ts';
import { readX509 } from '../../crypto/certificate-fields.ts';
import { readSvid } from '../../crypto/svid.ts';
import { createTlsContext, type TlsContext } from '../../crypto/tls-context.ts';
import { signVoucher } from '../../crypto/voucher.ts';
import { isVerifiedToken } from '../../crypto/identity-token-verifier.ts';
import { checkTime } from '../../domain/admission-checks.ts';
import { canonicalizeJson } from '../../domain/canonical/jcs.ts';
import { authorityId, trustDomainOf, type SpiffeId } from '../../domain/agent-id.ts';
import type { Role, VerifiedToken } from '../../domain/identity-token.ts';
import { measurementToJson } from '../../domain/measurement-json.ts';
import { sameMeasurement, type Measurement } from '../../domain/measurement.ts';
import { Due, after, type Clock } from '../../platform/clock.ts';
import type { Logger } from '../../platform/logger.ts';
import { Backoff, type RandomSource } from '../../platform/random.ts';
import type { IssueAitResponse__Output } from '../../wire/generated/ait/v1/IssueAitResponse.ts';
import { IdentityClient } from '../../wire/services.ts';
import { AuthorityChannel, AuthorityError } from '../../membership/authority-channel.ts';
import { tlsMaterialOf, type Membership } from '../../membership/join.ts';
import type { SidecarMetrics } from '../sidecar-metrics.ts';
import type { PresentedIdentity, Statement } from './presented-identity.ts';
import type { TrustStore } from '../../membership/trust-store.ts';

export interface GenerationDeps {
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly logger: Logger;
  readonly metrics: SidecarMetrics;
  readonly trust: TrustStore;
  /** The authority's `host:port`. */
  readonly authorityAddress: string;
  readonly handshakeTimeoutMs: number;
  readonly dataAddress: () => string;
  /** A token has arrived. */
  readonly onToken: (generation: Generation) => void;
}

const AIT_RETRY = { minMs: 200, maxMs: 10_000 } as const;

/**
 * One SVID of this instance, its key, and the AITs that are bound to it. It keeps its token in step with what is
 * measured and renews it at a third of its life. The next SVID is another generation; sessions go over to it one by one.
 */
export class Generation implements PresentedIdentity {
  readonly spiffeId: SpiffeId;
  readonly instanceId: string;
  readonly thumbprint: string;
  readonly notBefore: number;
  readonly notAfter: number;
  readonly membership: Membership;
  readonly #deps: GenerationDeps;
  readonly #backoff: Backoff;
  #tls: TlsContext | undefined;
  #channel: AuthorityChannel | undefined;
  #token: VerifiedToken | undefined;
  #compact = '';
  #authoritySkewMs: number | undefined;
  #measurement: Measurement | undefined;
  #statement: Statement | undefined;
  #asking = false;
  #renewAt: Due | undefined;
  #cancelRetry: (() => void) | undefined;
  #disposed = false;

  constructor(membership: Membership, deps: GenerationDeps) {
    const svid = readSvid(readX509(membership.certificateDer));
    this.membership = membership;
    this.spiffeId = svid.spiffeId;
    this.instanceId = membership.instanceId;
    this.thumbprint = svid.thumbprint;
    this.notBefore = svid.notBefore;
    this.notAfter = svid.notAfter;
    this.#deps = deps;
    this.#backoff = new Backoff({ ...AIT_RETRY, random: deps.random });
  }

  get tls(): TlsContext {
    this.#tls ??= createTlsContext({ ...tlsMaterialOf(this.membership), caPems: this.#deps.trust.rootPems });
    return this.#tls;
  }

  /** The next connection trusts the new roots; a token by a key that is trusted no more is replaced at once. */
  trustChanged(): void {
    this.#tls = undefined;
    const { trusts } = this.#deps.trust;
    if (this.#token === undefined || trusts.aitKey(trustDomainOf(this.spiffeId), this.#token.keyId)) return;
    // Not in this turn: first come the cuts that the change calls for.
    setImmediate(() => this.#ask());
  }

  /** The newest token, verified; `undefined` before the first. */
  get token(): VerifiedToken | undefined {
    return this.#token;
  }

  /**
   * The authority's clock minus ours when it issued its last token, also one that was refused for it, in ms; to a second,
   * and the way here makes it less. For information; nothing is decided by it.
   */
  get authoritySkewMs(): number | undefined {
    return this.#authoritySkewMs;
  }

  get compactToken(): string {
    return this.#compact;
  }

  /** Whether the token says what is measured now. */
  get caughtUp(): boolean {
    return (
      this.#token !== undefined &&
      this.#measurement !== undefined &&
      sameMeasurement(this.#token.claims.agent.measurement, this.#measurement)
    );
  }

  /** @throws TypeError before there is a token and a measurement: ask `caughtUp` first. */
  statement(): Statement {
    const [token, measurement] = [this.#token, this.#measurement];
    if (token === undefined || measurement === undefined) throw new TypeError('nothing to state yet');
    const key = this.membership.keyPair.privateKey;
    this.#statement ??= {
      ait: this.#compact,
      measurement,
      signProof: (claims) => signProof({ claims: { ...claims, ath: token.hash, measurement }, key }),
    };
    return this.#statement;
  }

  vouch(to: string, { sid, role }: { readonly sid: string; readonly role: Role }): string {
    return signVoucher({ sid, role, from: this.thumbprint, to }, this.membership.keyPair.privateKey);
  }

  /** The measurement has changed: state it from now on, and get a token that says so. */
  measured(measurement: Measurement): void {
    this.#measurement = measurement;
    this.#statement = undefined;
    if (this.caughtUp) return;
    // Not in this turn: first come the cuts that the change may call for.
    setImmediate(() => {
      if (!this.caughtUp) this.#ask();
    });
  }

  /** The connection to the authority under this SVID, a new one if the last broke. */
  channel(): AuthorityChannel {
    if (this.#channel !== undefined) return this.#channel;
    const { authorityAddress, trust, handshakeTimeoutMs, clock } = this.#deps;
    const channel = new AuthorityChannel({
      address: authorityAddress,
      expected: authorityId(trustDomainOf(this.spiffeId)),
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

  /** Once a second: renews the token when it is due. */
  tick(): void {
    if (this.#renewAt?.reached() === true) this.#ask();
  }

  /**
   * Tells the authority at once where we are to be found now, or (with no address) that peers are to be sent elsewhere.
   * The token that comes with it is not needed.
   *
   * @throws AuthorityError where it cannot be told; peers then learn it when our Watch has been closed for a while
   */
  async tellAddress(): Promise<void> {
    if (this.#measurement !== undefined) await this.#issue(this.#measurement);
  }

  dispose(): void {
    this.#disposed = true;
    this.#cancelRetry?.();
    this.#channel?.close();
  }

  #ask(): void {
    if (this.#asking || this.#disposed || this.#measurement === undefined) return;
    this.#asking = true;
    this.#cancelRetry?.();
    this.#renewAt = undefined;
    void this.#renew(this.#measurement).then((retryMs) => {
      this.#asking = false;
      if (this.#disposed) return;
      if (retryMs !== undefined)
        this.#cancelRetry = after({ delayMs: retryMs, run: () => this.#ask(), keepAlive: false });
      // The measurement may have moved on while we asked.
      else if (!this.caughtUp) this.#ask();
      else this.#renewAt = new Due(this.#deps.clock, this.#renewalDelayMs());
    });
  }

  /** @returns in how many milliseconds to try again; `undefined` after a success. */
  async #renew(measurement: Measurement): Promise<number | undefined> {
    const { trust, logger, metrics, onToken } = this.#deps;
    try {
      const compact = await this.#issue(measurement);
      const token = await trust.verifier.verify({ compact });
      if (!isVerifiedToken(token)) {
        throw new AuthorityError(`the authority issued a token that does not verify: ${token.code}: ${token.detail}`, {
          transient: true,
        });
      }
      this.#authoritySkewMs = token.claims.iat * 1000 - this.#deps.clock.now();
      this.#assertTimely(token);
      this.#token = token;
      this.#compact = compact;
      this.#statement = undefined;
      this.#backoff.reset();
      metrics.certificateRotations.add({ kind: 'ait', result: 'ok' });
      metrics.certificateExpiry.set({ kind: 'ait' }, token.claims.exp);
      logger.info('ait_renewed', { expires: new Date(token.claims.exp * 1000).toISOString() });
      onToken(this);
      return undefined;
    } catch (error) {
      // Our connection was closed under the question, because another certificate has taken our place: it asks itself.
      if (this.#disposed) return undefined;
      const retryMs = this.#backoff.next();
      metrics.certificateRotations.add({ kind: 'ait', result: 'failed' });
      const reason = error instanceof AuthorityError ? (error.reason ?? 'AUTHORITY_UNREACHABLE') : 'INTERNAL';
      logger.warn('ait_renewal_failed', { reason, error, retryMs: Math.round(retryMs) });
      return retryMs;
    }
  }

  /** A token from a clock that is off would take the place of one that is good. @throws AuthorityError */
  #assertTimely(token: VerifiedToken): void {
    const problem = checkTime(token, this.#deps.clock.now());
    if (problem?.clocks === undefined) return;
    const { ours, theirs, what } = problem.clocks;
    const [here, there] = [ours, theirs].map((at) => new Date(at).toISOString());
    const words = `the authority issued a token out of its time: ${what} ${there}, our clock says ${here}`;
    throw new AuthorityError(words, { reason: problem.code, transient: true });
  }

  async #issue(measurement: Measurement): Promise<string> {
    const channel = this.channel();
    const client = channel.client(IdentityClient);
    const request = {
      measurement: canonicalizeJson(measurementToJson(measurement)),
      dataAddress: this.#deps.dataAddress(),
    };
    try {
      const { ait } = await channel.ask<IssueAitResponse__Output>((callback) => client.IssueAit(request, callback));
      return ait;
    } catch (error) {
      // A connection that failed is not asked twice.
      if (error instanceof AuthorityError && error.transient) channel.close();
      throw error;
    }
  }

  /** A third of its life as the authority meant it, counted from now: our clock may be another. */
  #renewalDelayMs(): number {
    const claims = this.#token?.claims;
    return claims === undefined ? AIT_RETRY.minMs : Math.max(AIT_RETRY.minMs, ((claims.exp - claims.iat) * 1000) / 3);
  }
}
