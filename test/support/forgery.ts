import { createHash, createPublicKey, randomBytes, sign, X509Certificate, type KeyObject } from 'node:crypto';
import { AIT_PROFILE, type AitClaims } from '../../src/domain/identity-token.ts';
import { parseSpiffeId, trustDomainOf, type SpiffeId } from '../../src/domain/agent-id.ts';
import type { Measurement } from '../../src/domain/measurement.ts';
import { aitClaimsToJson } from '../../src/crypto/ait-claims.ts';
import * as asn1 from '../../src/crypto/asn1.ts';
import { OID } from '../../src/crypto/certificate-fields.ts';
import {
  certificateToPem,
  exportJwk,
  generateKeyPair,
  jwkThumbprint,
  privateKeyFromPem,
  sha256Base64Url,
  type KeyPair,
} from '../../src/crypto/keys.ts';
import { issueSvid, openIssuer, type Issuer } from '../../src/crypto/x509-issuer.ts';
import { extension, uri } from '../unit/crypto/odd-certificate.ts';
import { signAnything } from '../unit/crypto/hostile-tokens.ts';
import type { AuthorityKeys } from './test-authority.ts';

const HOUR_MS = 3_600_000;

/** What a hostile peer shows: a certificate with its key, and a token; each may be anybody's. */
export interface Identity {
  readonly spiffeId: SpiffeId;
  readonly instanceId: string;
  /** The certificate, followed by whatever is sent along. */
  readonly certPem: string;
  readonly keyPair: KeyPair;
  /** `x5t#S256` of the certificate. */
  readonly thumbprint: string;
  readonly ait: string;
  readonly measurement: Measurement;
}

/** A certificate that is an SVID but for what is asked for. */
export interface OddCertificate {
  readonly names?: readonly asn1.Asn1[];
  readonly purposes?: readonly string[];
  readonly keyUsage?: number;
  readonly ca?: boolean;
  readonly commonName?: string;
  readonly keyPair?: KeyPair;
}

export interface ForgedIdentity {
  readonly spiffeId: string;
  readonly measurement: Measurement;
  readonly notBefore?: number;
  readonly notAfter?: number;
  readonly claims?: Partial<AitClaims>;
  readonly instanceId?: string;
}

/**
 * Makes what only an authority can make, with that authority's own keys: the strongest forger there is, so that a
 * refusal is never owed to a bad signature unless that is what the test is about.
 */
export class Forger {
  readonly rootPem: string;
  readonly issuer: Issuer;
  readonly aitKeys: KeyPair;
  readonly aitKeyId: string;

  constructor(keys: Pick<AuthorityKeys, 'root_certificate' | 'root_key'>, aitKeys: KeyPair = generateKeyPair()) {
    this.rootPem = keys.root_certificate;
    this.issuer = openIssuer({ certPem: keys.root_certificate, keyPem: keys.root_key });
    this.aitKeys = aitKeys;
    this.aitKeyId = jwkThumbprint(exportJwk(aitKeys.publicKey));
  }

  static of(keys: AuthorityKeys): Forger {
    const privateKey = privateKeyFromPem(keys.ait_key);
    return new Forger(keys, { privateKey, publicKey: createPublicKey(privateKey) });
  }

  /** An identity that nothing is wrong with but what is asked for. */
  identity({
    spiffeId,
    measurement,
    claims = {},
    instanceId = randomBytes(16).toString('hex'),
    ...dates
  }: ForgedIdentity): Identity {
    const keyPair = generateKeyPair();
    const id = parseSpiffeId(spiffeId);
    const now = Date.now();
    const { notBefore = now - HOUR_MS / 60, notAfter = now + HOUR_MS } = dates;
    const request = { issuer: this.issuer, publicKey: keyPair.publicKey, spiffeId: id, notBefore, notAfter };
    const certPem = issueSvid({ ...request, serial: randomBytes(16) });
    const thumbprint = thumbprintOf(certPem);
    const about = { spiffeId: id, instanceId, keyPair, thumbprint, measurement };
    return { ...about, certPem, ait: this.token(this.claims(about, claims)) };
  }

  /** The claims that the authority would sign for this certificate. */
  claims(about: Omit<Identity, 'certPem' | 'ait'>, overrides: Partial<AitClaims> = {}): AitClaims {
    const now = Math.floor(Date.now() / 1000);
    const trustDomain = trustDomainOf(about.spiffeId);
    const agent = {
      instance: about.instanceId,
      sponsor: { format: 'opaque', id: 'u-1' },
      measurement: about.measurement,
    } as const;
    return {
      iss: `spiffe://${trustDomain}`,
      sub: about.spiffeId,
      aud: [trustDomain],
      iat: now,
      nbf: now,
      exp: now + 600,
      jti: randomBytes(16).toString('hex'),
      cnf: { 'x5t#S256': about.thumbprint, jwk: exportJwk(about.keyPair.publicKey) },
      eat_profile: AIT_PROFILE,
      agent,
      ...overrides,
    };
  }

  /** Signs whatever the claims say. */
  token(claims: AitClaims): string {
    return signAnything(
      { alg: 'ES256', typ: 'ait+jwt', kid: this.aitKeyId },
      aitClaimsToJson(claims),
      this.aitKeys.privateKey,
    );
  }

  /** The same identity with another certificate; its token is bound to it, so that nothing else is wrong. */
  withCertificate(base: Identity, odd: OddCertificate, signer: Issuer = this.issuer): Identity {
    const { keyPair = generateKeyPair() } = odd;
    const certPem = oddCertificate(signer, { names: [uri(base.spiffeId)], ...odd }, keyPair.publicKey);
    const next = { ...base, keyPair, certPem, thumbprint: thumbprintOf(certPem) };
    return { ...next, ait: this.token(this.claims(next)) };
  }
}

export function thumbprintOf(certPem: string): string {
  return sha256Base64Url(new X509Certificate(certPem).raw);
}

function oddCertificate(issuer: Issuer, odd: OddCertificate, publicKey: KeyObject): string {
  const { names = [], purposes = [OID.serverAuth, OID.clientAuth], keyUsage = 0x80, ca = false, commonName } = odd;
  const algorithm = asn1.sequence(asn1.oid(OID.ecdsaWithSha256));
  const name = (text: string) =>
    asn1.sequence(asn1.set(asn1.sequence(asn1.oid(OID.commonName), asn1.utf8String(text))));
  const now = Date.now();
  const spki = publicKey.export({ format: 'der', type: 'spki' });
  const tbs = asn1.sequence(
    asn1.contextMembers(0, asn1.unsignedInteger(Buffer.from([2]))),
    asn1.unsignedInteger(createHash('sha256').update(spki).digest().subarray(0, 16)),
    algorithm,
    asn1.decode(issuer.name, 4096),
    asn1.sequence(asn1.time(now - HOUR_MS), asn1.time(now + HOUR_MS)),
    commonName === undefined ? asn1.sequence() : name(commonName),
    asn1.decode(spki, 4096),
    asn1.contextMembers(
      3,
      asn1.sequence(
        extension(OID.basicConstraints, ca ? asn1.sequence(asn1.booleanTrue()) : asn1.sequence(), true),
        extension(OID.keyUsage, asn1.bitString(Buffer.from([keyUsage])), true),
        ...(purposes.length > 0
          ? [extension(OID.extendedKeyUsage, asn1.sequence(...purposes.map(asn1.oid)), false)]
          : []),
        ...(names.length > 0 ? [extension(OID.subjectAltName, asn1.sequence(...names), false)] : []),
      ),
    ),
  );
  const signature = asn1.bitString(sign('sha256', asn1.encode(tbs), issuer.privateKey));
  return certificateToPem(asn1.encode(asn1.sequence(tbs, algorithm, signature)));
}
