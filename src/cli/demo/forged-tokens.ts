import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { signAit } from '../../crypto/identity-token-signer.ts';
import { exportJwk, generateKeyPair, jwkThumbprint, privateKeyFromPem } from '../../crypto/keys.ts';
import { agentId, trustDomainOf, type TrustDomain } from '../../domain/agent-id.ts';
import { AIT_PROFILE, type AitClaims } from '../../domain/identity-token.ts';
import type { Measurement } from '../../domain/measurement.ts';
import { systemClock } from '../../platform/clock.ts';
import { systemRandom } from '../../platform/random.ts';
import type { Attacker } from './attacker.ts';

const HOUR_S = 3600;
/** Longer ago than any leeway for clocks. */
const EXPIRED_SINCE_S = 120;

/**
 * A token as the authority issued it an hour ago, right in everything but time. Nobody can wait that long, so it is
 * signed here, with the authority's own key out of its state.
 */
export function expiredToken(attacker: Attacker, measurement: Measurement, authorityState: string): Promise<string> {
  const key = privateKeyFromPem(readAitKey(authorityState));
  const now = Math.floor(systemClock.now() / 1000);
  const times = {
    iat: now - HOUR_S - EXPIRED_SINCE_S,
    nbf: now - HOUR_S - EXPIRED_SINCE_S,
    exp: now - EXPIRED_SINCE_S,
  };
  const claims = claimsFor(attacker, { measurement, times });
  return signAit({ claims, key, keyId: jwkThumbprint(exportJwk(key)) });
}

/** A token of an authority of the attacker's own: right in itself, worth nothing here. */
export function foreignToken(attacker: Attacker, measurement: Measurement): Promise<string> {
  const trustDomain = 'elsewhere.example' as TrustDomain;
  const { privateKey } = generateKeyPair();
  const now = Math.floor(systemClock.now() / 1000);
  const times = { iat: now, nbf: now, exp: now + HOUR_S };
  const claims = {
    ...claimsFor(attacker, { measurement, times }),
    iss: `spiffe://${trustDomain}`,
    sub: agentId(trustDomain, 'planner'),
  };
  return signAit({ claims, key: privateKey, keyId: jwkThumbprint(exportJwk(privateKey)) });
}

function claimsFor(
  { identity, membership }: Attacker,
  { measurement, times }: { measurement: Measurement; times: Pick<AitClaims, 'iat' | 'nbf' | 'exp'> },
): AitClaims {
  const trustDomain = trustDomainOf(identity.spiffeId);
  return {
    iss: `spiffe://${trustDomain}`,
    sub: identity.spiffeId,
    aud: [trustDomain],
    ...times,
    jti: systemRandom.bytes(16).toString('hex'),
    cnf: { 'x5t#S256': identity.thumbprint, jwk: exportJwk(identity.publicKey) },
    eat_profile: AIT_PROFILE,
    agent: { instance: membership.instanceId, sponsor: { format: 'opaque', id: 'you' }, measurement },
  };
}

interface StoredKeys {
  readonly keys: readonly { readonly kind: string; readonly phase: string; readonly key: string }[];
}

/** The state file: a line with its checksum, then collections of records as pairs. */
function readAitKey(authorityState: string): string {
  const text = readFileSync(join(authorityState, 'state.json'), 'utf8');
  const collections = JSON.parse(text.slice(text.indexOf('\n'))) as [string, [string, StoredKeys][]][];
  const keys = collections.find(([name]) => name === 'authority_keys')?.[1];
  const key = keys?.[0]?.[1].keys.find(({ kind, phase }) => kind === 'ait' && phase === 'active')?.key;
  if (key === undefined) throw new TypeError("the demo did not find the authority's key");
  return key;
}
