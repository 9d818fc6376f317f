import { isSpiffeId, kindOf, parseTrustDomain } from '../domain/agent-id.ts';
import type { SpiffeId, TrustDomain } from '../domain/agent-id.ts';
import type { JsonObject, JsonValue } from '../domain/canonical/strict-json.ts';
import { AIT_PROFILE } from '../domain/identity-token.ts';
import type { AgentClaim, AitClaims, ConfirmationKey } from '../domain/identity-token.ts';
import { arrayAt, choiceAt, integerAt, objectAt, ShapeError, stringAt } from '../domain/json-shape.ts';
import { measurementToJson, parseMeasurement } from '../domain/measurement-json.ts';
import type { Measurement } from '../domain/measurement.ts';
import { isMeshError } from '../domain/mesh-error.ts';
import { isBase64Url32 } from './keys.ts';

/** Longest compact form of an AIT, in characters, which are bytes. Bounds the number of tools to about a hundred. */
export const MAX_AIT_CHARS = 48 * 1024;

/** 9999-12-31T23:59:59Z, the last second that a `Date` prints with four digits of year. */
const MAX_NUMERIC_DATE = 253_402_300_799;
const MAX_AUDIENCES = 16;
const ISSUER = /^spiffe:\/\/([a-z0-9._-]{1,255})$/;
const IDENTIFIER = /^[A-Za-z0-9._:-]{1,128}$/;
const SPONSOR = /^[\x21-\x7e]{1,256}$/;

const CLAIMS = ['iss', 'sub', 'aud', 'iat', 'nbf', 'exp', 'jti', 'cnf', 'eat_profile', 'agent'] as const;

/**
 * Reads the claims of an AIT from strictly parsed JSON. Every claim is required and of its exact type; dates are
 * integers and the token has a lifetime; `cnf` has both members; the profile is ours; nothing unknown stands in `cnf`
 * or `agent`. Claims on the top level that we do not know are ignored, as RFC 7519 section 4 asks, and not returned.
 * Fails closed.
 *
 * @throws ShapeError
 */
export function parseAitClaims(value: JsonValue): AitClaims {
  const claims = objectAt(value, 'claims', { required: CLAIMS, unknown: 'ignore' });
  const [nbf, exp] = [dateAt(claims, 'nbf'), dateAt(claims, 'exp')];
  if (exp <= nbf) throw new ShapeError('exp', 'not after nbf');
  return {
    iss: stringAt(claims['iss'], 'iss', ISSUER, 'spiffe://<trust-domain>'),
    sub: agentAt(claims['sub']),
    aud: audienceAt(claims['aud']),
    iat: dateAt(claims, 'iat'),
    nbf,
    exp,
    jti: stringAt(claims['jti'], 'jti', IDENTIFIER, 'an identifier of 1 to 128 characters'),
    cnf: confirmationAt(claims['cnf']),
    eat_profile: choiceAt(claims['eat_profile'], 'eat_profile', [AIT_PROFILE]),
    agent: agentClaimAt(claims['agent']),
  };
}

/** The shape that {@link parseAitClaims} reads. */
export function aitClaimsToJson(claims: AitClaims): JsonObject {
  const { iss, sub, aud, iat, nbf, exp, jti, cnf, eat_profile, agent } = claims;
  const { kty, crv, x, y, alg } = cnf.jwk;
  return {
    iss,
    sub,
    aud: [...aud],
    iat,
    nbf,
    exp,
    jti,
    cnf: { 'x5t#S256': cnf['x5t#S256'], jwk: { kty, crv, x, y, alg } },
    eat_profile,
    agent: {
      instance: agent.instance,
      sponsor: { format: agent.sponsor.format, id: agent.sponsor.id },
      measurement: measurementToJson(agent.measurement),
    },
  };
}

/** @throws ShapeError, so that the caller has one kind of complaint about one token. */
export function measurementAt(value: JsonValue | undefined, path: string): Measurement {
  try {
    return parseMeasurement(value, path);
  } catch (error) {
    if (isMeshError(error) && error.cause instanceof ShapeError) throw error.cause;
    throw error;
  }
}

/** @throws ShapeError */
export function hashAt(value: JsonValue | undefined, path: string): string {
  if (!isBase64Url32(value)) throw new ShapeError(path, 'not 32 bytes in base64url');
  return value;
}

function dateAt(claims: JsonObject, name: string): number {
  return integerAt(claims[name], name, { max: MAX_NUMERIC_DATE });
}

function agentAt(value: JsonValue | undefined): SpiffeId {
  if (!isSpiffeId(value) || kindOf(value) !== 'agent') throw new ShapeError('sub', 'not the SPIFFE ID of an agent');
  return value;
}

function audienceAt(value: JsonValue | undefined): TrustDomain[] {
  const audience = arrayAt(value, 'aud', { min: 1, max: MAX_AUDIENCES }).map((member, index) => {
    try {
      if (typeof member === 'string') return parseTrustDomain(member);
    } catch (error) {
      if (!isMeshError(error)) throw error;
    }
    throw new ShapeError(`aud[${index}]`, 'not a trust domain');
  });
  if (new Set(audience).size !== audience.length) throw new ShapeError('aud', 'the same trust domain twice');
  return audience;
}

function confirmationAt(value: JsonValue | undefined): AitClaims['cnf'] {
  const cnf = objectAt(value, 'cnf', { required: ['x5t#S256', 'jwk'] });
  return { 'x5t#S256': hashAt(cnf['x5t#S256'], 'cnf.x5t#S256'), jwk: confirmationKeyAt(cnf['jwk']) };
}

function confirmationKeyAt(value: JsonValue | undefined): ConfirmationKey {
  const jwk = objectAt(value, 'cnf.jwk', { required: ['kty', 'crv', 'x', 'y', 'alg'] });
  return {
    kty: choiceAt(jwk['kty'], 'cnf.jwk.kty', ['EC']),
    crv: choiceAt(jwk['crv'], 'cnf.jwk.crv', ['P-256']),
    x: hashAt(jwk['x'], 'cnf.jwk.x'),
    y: hashAt(jwk['y'], 'cnf.jwk.y'),
    alg: choiceAt(jwk['alg'], 'cnf.jwk.alg', ['ES256']),
  };
}

function agentClaimAt(value: JsonValue | undefined): AgentClaim {
  const agent = objectAt(value, 'agent', { required: ['instance', 'sponsor', 'measurement'] });
  const sponsor = objectAt(agent['sponsor'], 'agent.sponsor', { required: ['format', 'id'] });
  return {
    instance: stringAt(agent['instance'], 'agent.instance', IDENTIFIER, 'an identifier of 1 to 128 characters'),
    sponsor: {
      format: choiceAt(sponsor['format'], 'agent.sponsor.format', ['opaque']),
      id: stringAt(sponsor['id'], 'agent.sponsor.id', SPONSOR, 'an identifier of 1 to 256 characters'),
    },
    measurement: measurementAt(agent['measurement'], 'agent.measurement'),
  };
}
