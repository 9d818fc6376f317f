import { trustDomainOf } from '../../domain/agent-id.ts';
import { JsonError, parseStrictJson } from '../../domain/canonical/strict-json.ts';
import { AIT_PROFILE, type AitClaims } from '../../domain/identity-token.ts';
import { parseMeasurement } from '../../domain/measurement-json.ts';
import type { Measurement } from '../../domain/measurement.ts';
import { isMeshError } from '../../domain/mesh-error.ts';
import { signAit } from '../../crypto/identity-token-signer.ts';
import { exportJwk } from '../../crypto/keys.ts';
import type { Clock } from '../../platform/clock.ts';
import type { RandomSource } from '../../platform/random.ts';
import type { Caller } from '../membership/callers.ts';
import type { SigningKey } from './live-keys.ts';
import type { PolicyIndex } from '../policy/policy-index.ts';
import { refusal, type Outcome } from '../refusal.ts';

/** Longest measurement taken, in bytes of JSON. */
const MAX_MEASUREMENT_BYTES = 64 * 1024;

export interface AitIssuerOptions {
  /** The one that is active now. */
  readonly signingKey: () => SigningKey;
  readonly clock: Clock;
  readonly random: RandomSource;
  /** How long a token lives, in ms. */
  readonly lifetimeMs: number;
  readonly policy: () => PolicyIndex;
}

/**
 * Signs Agent Identity Tokens: this instance, which holds the key of the certificate on this connection, says that
 * these digests were measured. It does not judge the digests; that is for the peers, by the baselines.
 */
export class AitIssuer {
  readonly #options: AitIssuerOptions;

  constructor(options: AitIssuerOptions) {
    this.#options = options;
  }

  /** Only for an active agent that somebody answers for. */
  async issue(caller: Caller, measurementJson: string): Promise<Outcome<string>> {
    const agent = this.#options.policy().agents.get(caller.agent);
    if (agent === undefined) {
      return refusal('PERMISSION_DENIED', 'AGENT_UNKNOWN', `${caller.agent} is not registered with this authority`);
    }
    if (agent.lifecycle !== 'active') {
      return refusal('PERMISSION_DENIED', 'AGENT_NOT_ACTIVE', `${caller.agent} is ${agent.lifecycle}`);
    }
    if (agent.sponsor === undefined || agent.sponsor === '') {
      return refusal('PERMISSION_DENIED', 'AGENT_NOT_ACTIVE', `${caller.agent} has no accountable sponsor`);
    }
    const measurement = readMeasurement(measurementJson);
    if (!measurement.ok) return measurement;
    const { key, keyId } = this.#options.signingKey();
    try {
      const claims = this.#claims(caller, agent.sponsor, measurement.value);
      return { ok: true, value: await signAit({ claims, key, keyId }) };
    } catch (error) {
      if (isMeshError(error, 'TOKEN_UNSIGNABLE')) return refusal('INVALID_ARGUMENT', error.code, error.message);
      throw error;
    }
  }

  #claims({ agent, instance, thumbprint, publicKey }: Caller, sponsor: string, measurement: Measurement): AitClaims {
    const { clock, random, lifetimeMs } = this.#options;
    const now = Math.floor(clock.now() / 1000);
    const trustDomain = trustDomainOf(agent);
    return {
      iss: `spiffe://${trustDomain}`,
      sub: agent,
      aud: [trustDomain],
      iat: now,
      nbf: now,
      exp: now + Math.ceil(lifetimeMs / 1000),
      jti: random.bytes(16).toString('hex'),
      cnf: { 'x5t#S256': thumbprint, jwk: exportJwk(publicKey) },
      eat_profile: AIT_PROFILE,
      agent: { instance, sponsor: { format: 'opaque', id: sponsor }, measurement },
    };
  }
}

function readMeasurement(json: string): Outcome<Measurement> {
  if (Buffer.byteLength(json) > MAX_MEASUREMENT_BYTES) {
    return refusal('INVALID_ARGUMENT', 'MEASUREMENT_MALFORMED', `longer than ${MAX_MEASUREMENT_BYTES} bytes`);
  }
  try {
    return { ok: true, value: parseMeasurement(parseStrictJson(json, { maxDepth: 8 })) };
  } catch (error) {
    if (error instanceof JsonError) return refusal('INVALID_ARGUMENT', 'MEASUREMENT_MALFORMED', error.message);
    if (isMeshError(error)) return refusal('INVALID_ARGUMENT', error.code, error.message);
    throw error;
  }
}
