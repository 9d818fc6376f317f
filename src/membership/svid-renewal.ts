import { issuerOf } from '../crypto/chain.ts';
import { createCsr } from '../crypto/csr.ts';
import { generateKeyPair, type KeyPair } from '../crypto/keys.ts';
import { readSvid } from '../crypto/svid.ts';
import { trustDomainOf } from '../domain/agent-id.ts';
import { after, Due, type Clock } from '../platform/clock.ts';
import type { Logger } from '../platform/logger.ts';
import type { RandomSource } from '../platform/random.ts';
import type { RenewSvidResponse__Output } from '../wire/generated/ait/v1/RenewSvidResponse.ts';
import { IdentityClient } from '../wire/services.ts';
import { AuthorityError, type AuthorityChannel } from './authority-channel.ts';
import type { Membership } from './join.ts';
import type { TrustStore } from './trust-store.ts';

export interface SvidRenewalDeps {
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly logger: Logger;
  readonly trust: TrustStore;
  /** Spends a use of the join credential again: the way back when renewal is refused for good. */
  readonly rejoin: () => Promise<Membership>;
  /** Called when a renewal is due, besides whatever looks from time to time. Default: nobody is. */
  readonly onDue?: () => void;
}

/** SVIDs are renewed at half their life, give or take a tenth, so that a fleet started at once does not renew at once. */
const RENEW_AT = 0.5;
const RENEW_SPREAD = 0.1;
/** After a failure: a twentieth of the life, within bounds. */
const RETRY_SHARE = 0.05;
const MIN_RETRY_MS = 500;
const MAX_RETRY_MS = 60_000;

/** When an instance renews its SVID, and how it asks for the next one. */
export class SvidRenewal {
  readonly #deps: SvidRenewalDeps;
  /** How long the certificate in use had to live when it came, ms; by a clock past its end, its whole dated life. */
  #lifeMs = 0;
  /** Kept until its renewal succeeded: asking again with the same key repeats an answer that was lost. */
  #nextKey: KeyPair | undefined;

  constructor(deps: SvidRenewalDeps) {
    this.#deps = deps;
  }

  /** Whether a root that is trusted now has issued the certificate: nobody takes another, not even we ourselves. */
  isVouchedFor({ certificateDer }: Membership): boolean {
    const roots = this.#deps.trust.roots.get(trustDomainOf(readSvid(certificateDer).spiffeId)) ?? [];
    return issuerOf({ leaf: certificateDer, roots }) !== undefined;
  }

  /** Counted from when we got it, not from its start: that is dated back for the sake of clocks that are behind. */
  dueFor(membership: Membership): Due {
    const { clock, random } = this.#deps;
    if (!this.isVouchedFor(membership)) return this.dueAfterFailure();
    const { notBefore, notAfter } = readSvid(membership.certificateDer);
    const share = RENEW_AT + RENEW_SPREAD * (2 * random.uniform() - 1);
    const leftMs = notAfter - clock.now();
    this.#lifeMs = leftMs > 0 ? leftMs : notAfter - notBefore;
    return this.#dueIn(Math.max(leftMs * share, this.#retryMs()));
  }

  dueAfterFailure(): Due {
    return this.#dueIn(this.#retryMs());
  }

  /**
   * The next SVID, over a connection that shows the present one; where the authority refuses that for good, a new
   * membership. A refusal for the dates alone is not for good while they are right by our own clock: the connection, on
   * which the state still comes, is kept, and asked again.
   *
   * @throws AuthorityError where trying again may help
   */
  async next(current: Membership, channel: AuthorityChannel): Promise<Membership> {
    this.#nextKey ??= generateKeyPair();
    const keyPair = this.#nextKey;
    const client = channel.client(IdentityClient);
    try {
      const { certificateDer } = await channel.ask<RenewSvidResponse__Output>((callback) =>
        client.RenewSvid({ csrDer: createCsr({ keyPair }) }, callback),
      );
      this.#nextKey = undefined;
      return { ...current, keyPair, certificateDer };
    } catch (error) {
      if (!(error instanceof AuthorityError) || error.transient) {
        // A connection that failed is not asked twice, nor by the Watch: it never connects again.
        if (error instanceof AuthorityError) channel.close();
        throw error;
      }
      if (error.reason === 'CERTIFICATE_NOT_VALID_NOW' && this.#isInTime(current)) throw error;
      this.#nextKey = undefined;
      this.#deps.logger.warn('svid_renewal_refused', { reason: error.reason, next: 'joining again' });
      return this.#deps.rejoin();
    }
  }

  #isInTime({ certificateDer }: Membership): boolean {
    const { notBefore, notAfter } = readSvid(certificateDer);
    const now = this.#deps.clock.now();
    return now >= notBefore && now <= notAfter;
  }

  /** Tells at that very moment: of a short life the rest of a second is much. A timer may come 1 ms early. */
  #dueIn(delayMs: number): Due {
    const { clock, onDue } = this.#deps;
    if (onDue !== undefined) after({ delayMs: delayMs + 1, run: onDue, keepAlive: false });
    return new Due(clock, delayMs);
  }

  /** Also the least time between two renewals: by a clock that is far ahead everything is always due. */
  #retryMs(): number {
    return Math.min(MAX_RETRY_MS, Math.max(MIN_RETRY_MS, this.#lifeMs * RETRY_SHARE));
  }
}
