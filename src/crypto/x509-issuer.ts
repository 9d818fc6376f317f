import { createHash, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import type { SpiffeId, TrustDomain } from '../domain/agent-id.ts';
import { MeshError } from '../domain/mesh-error.ts';
import {
  Asn1Error,
  bitsOf,
  bitString,
  booleanTrue,
  contextMembers,
  contextValue,
  decode,
  encode,
  membersOf,
  octetString,
  oid,
  sequence,
  set,
  time,
  unsignedInteger,
  utf8String,
} from './asn1.ts';
import type { Asn1 } from './asn1.ts';
import { KEY_USAGE, OID, readCertificateFields, readX509 } from './certificate-fields.ts';
import { assertP256, certificateToPem, generateKeyPair, privateKeyFromPem, privateKeyToPem } from './keys.ts';

/** RFC 5280 section 4.1.2.2 allows 20 bytes; 16 random ones are plenty. */
const SERIAL_BYTES = 16;
const MAX_COMMON_NAME_CHARS = 64;
const MAX_SPKI_BYTES = 256;

export interface RootRequest {
  readonly trustDomain: TrustDomain;
  /** For people only, 1 to 64 characters; nothing is decided by it. */
  readonly commonName: string;
  /** Milliseconds since the epoch; certificates count in whole seconds. */
  readonly notBefore: number;
  readonly notAfter: number;
}

export interface Root {
  readonly certPem: string;
  readonly keyPem: string;
}

/** A root that can sign, read once: see {@link openIssuer}. */
export interface Issuer {
  readonly certPem: string;
  readonly privateKey: KeyObject;
  readonly name: Buffer;
  readonly keyId: Buffer;
  readonly notAfter: number;
}

export interface SvidRequest {
  readonly issuer: Issuer;
  readonly publicKey: KeyObject;
  readonly spiffeId: SpiffeId;
  /** Milliseconds since the epoch. */
  readonly notBefore: number;
  /** Not after the issuer's own end: the caller shortens it. */
  readonly notAfter: number;
  /** 16 unpredictable bytes, never used before. */
  readonly serial: Uint8Array;
}

/**
 * Makes a trust domain's root, key and all: CA with path length 0, which may sign certificates and CRLs and nothing
 * else, named `spiffe://<trust-domain>` (X.509-SVID sections 2, 4.1 and 4.3). Its serial number is taken from its key.
 *
 * @throws MeshError `CERTIFICATE_INVALID`
 */
export function createRoot({ trustDomain, commonName, notBefore, notAfter }: RootRequest): Root {
  if (commonName.length === 0 || commonName.length > MAX_COMMON_NAME_CHARS) {
    throw new MeshError('CERTIFICATE_INVALID', `a common name has 1 to ${MAX_COMMON_NAME_CHARS} characters`);
  }
  const { publicKey, privateKey } = generateKeyPair();
  const name = commonNameOnly(commonName);
  const keyId = keyIdentifier(publicKey);
  const der = signCertificate(privateKey, {
    serial: keyId.subarray(0, SERIAL_BYTES),
    issuer: name,
    subject: name,
    notBefore,
    notAfter,
    publicKey,
    extensions: [
      critical(OID.basicConstraints, sequence(booleanTrue(), unsignedInteger(Buffer.from([0])))),
      critical(OID.keyUsage, bitString(Buffer.from([KEY_USAGE.keyCertSign | KEY_USAGE.cRLSign]), 1)),
      extension(OID.subjectKeyIdentifier, octetString(keyId)),
      extension(OID.authorityKeyIdentifier, sequence(contextValue(0, keyId))),
      extension(OID.subjectAltName, uriName(`spiffe://${trustDomain}`)),
    ],
  });
  return { certPem: certificateToPem(der), keyPem: privateKeyToPem(privateKey) };
}

/**
 * Reads a root and its key for signing.
 *
 * @throws MeshError `CERTIFICATE_INVALID` when it is no CA or the key is another's; `KEY_INVALID`
 */
export function openIssuer({ certPem, keyPem }: Root): Issuer {
  const certificate = readX509(certPem);
  const privateKey = privateKeyFromPem(keyPem);
  const { isCa, subject, subjectKeyId, notAfter } = readCertificateFields(certificate.raw);
  if (!isCa || subjectKeyId === undefined) throw new MeshError('CERTIFICATE_INVALID', 'not a root of this mesh');
  if (!certificate.checkPrivateKey(privateKey)) {
    throw new MeshError('CERTIFICATE_INVALID', 'the root certificate and the key do not belong together');
  }
  return { certPem, privateKey, name: subject, keyId: subjectKeyId, notAfter };
}

/**
 * Issues an X.509-SVID (SPIFFE X.509-SVID sections 2 and 4): one URI SAN, no CA, digital signatures only, for both ends
 * of TLS. The subject is empty, so that nobody can be tempted to read a name from it, and the SAN therefore critical
 * (RFC 5280 section 4.2.1.6).
 *
 * @throws MeshError `KEY_INVALID`, `CERTIFICATE_INVALID`
 */
export function issueSvid({ issuer, publicKey, spiffeId, notBefore, notAfter, serial }: SvidRequest): string {
  assertP256(publicKey, 'public');
  if (notAfter > issuer.notAfter) throw new MeshError('CERTIFICATE_INVALID', 'it would outlive the root that signs it');
  const der = signCertificate(issuer.privateKey, {
    serial,
    issuer: issuer.name,
    subject: encode(sequence()),
    notBefore,
    notAfter,
    publicKey,
    extensions: [
      critical(OID.basicConstraints, sequence()),
      critical(OID.keyUsage, bitString(Buffer.from([KEY_USAGE.digitalSignature]), 7)),
      extension(OID.extendedKeyUsage, sequence(oid(OID.serverAuth), oid(OID.clientAuth))),
      extension(OID.subjectKeyIdentifier, octetString(keyIdentifier(publicKey))),
      extension(OID.authorityKeyIdentifier, sequence(contextValue(0, issuer.keyId))),
      critical(OID.subjectAltName, uriName(spiffeId)),
    ],
  });
  return certificateToPem(der);
}

/** What a certificate says; everything else about it is the same for all of ours. */
export interface CertificateBody {
  readonly serial: Uint8Array;
  readonly issuer: Buffer;
  readonly subject: Buffer;
  readonly notBefore: number;
  readonly notAfter: number;
  readonly publicKey: KeyObject;
  readonly extensions: readonly Asn1[];
}

/** Signs an X.509 v3 certificate with ECDSA and SHA-256. @throws MeshError `CERTIFICATE_INVALID` */
export function signCertificate(key: KeyObject, body: CertificateBody): Buffer {
  const { serial, notBefore, notAfter, publicKey } = body;
  if (serial.length !== SERIAL_BYTES || serial.every((byte) => byte === 0)) {
    throw new MeshError('CERTIFICATE_INVALID', `a serial number is ${SERIAL_BYTES} bytes and not zero`);
  }
  if (!(Math.floor(notBefore / 1000) < Math.floor(notAfter / 1000))) {
    throw new MeshError('CERTIFICATE_INVALID', 'it would end before it begins');
  }
  try {
    const algorithm = sequence(oid(OID.ecdsaWithSha256));
    const tbs = sequence(
      contextMembers(0, unsignedInteger(Buffer.from([2]))),
      unsignedInteger(serial),
      algorithm,
      decode(body.issuer, body.issuer.length),
      sequence(time(notBefore), time(notAfter)),
      decode(body.subject, body.subject.length),
      decode(publicKey.export({ format: 'der', type: 'spki' }), MAX_SPKI_BYTES),
      contextMembers(3, sequence(...body.extensions)),
    );
    return encode(sequence(tbs, algorithm, bitString(sign('sha256', encode(tbs), key))));
  } catch (cause) {
    if (!(cause instanceof Asn1Error)) throw cause;
    throw new MeshError('CERTIFICATE_INVALID', `it cannot be made: ${cause.message}`, { cause });
  }
}

/** RFC 7093 section 2, method 1: the first 160 bits of SHA-256 over the public key's bit string. */
export function keyIdentifier(publicKey: KeyObject): Buffer {
  const spki = membersOf(decode(publicKey.export({ format: 'der', type: 'spki' }), MAX_SPKI_BYTES), 'the key');
  return createHash('sha256').update(bitsOf(spki[1], 'the point').bytes).digest().subarray(0, 20);
}

/** A Name with nothing but a CN, DER. */
export function commonNameOnly(commonName: string): Buffer {
  return encode(sequence(set(sequence(oid(OID.commonName), utf8String(commonName)))));
}

function uriName(uri: string): Asn1 {
  return sequence(contextValue(6, Buffer.from(uri, 'latin1')));
}

export function extension(id: string, value: Asn1): Asn1 {
  return sequence(oid(id), octetString(encode(value)));
}

export function critical(id: string, value: Asn1): Asn1 {
  return sequence(oid(id), booleanTrue(), octetString(encode(value)));
}
