import { X509Certificate } from 'node:crypto';
import { MeshError } from '../domain/mesh-error.ts';
import { Asn1Error, bitsOf, bytesOf, contextOf, decode, encode, membersOf, oidOf, TAG, timeOf } from './asn1.ts';
import type { Asn1 } from './asn1.ts';

/** Object identifiers of RFC 5280, RFC 5480 and RFC 5758. */
export const OID = {
  commonName: '2.5.4.3',
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
} as const;

/** Bits of KeyUsage (RFC 5280 section 4.2.1.3) by their place in the first byte. */
export const KEY_USAGE = { digitalSignature: 0x80, keyCertSign: 0x04, cRLSign: 0x02 } as const;

/** A certificate this large never fits the handshake budget of the mesh. */
const MAX_CERTIFICATE_BYTES = 8192;
const URI_NAME = 6;

/** What a decision needs of a certificate, read from its DER and not through any text form. */
export interface CertificateFields {
  /** Milliseconds since the epoch. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** The subject's Name, DER. */
  readonly subject: Buffer;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Buffer;
  /** URI names of the SAN, byte for byte; other kinds of names are left out. */
  readonly uris: readonly string[];
  readonly isCa: boolean;
  /** First byte of KeyUsage; `undefined` without the extension. */
  readonly keyUsage: number | undefined;
  readonly extendedKeyUsages: readonly string[];
  readonly subjectKeyId: Buffer | undefined;
}

/**
 * Reads an X.509 v3 certificate (RFC 5280 section 4.1). Fails closed: an extension that occurs twice, a critical one
 * that is not understood here, or a malformed one that is, is an error. Signatures are not looked at.
 *
 * @throws MeshError `CERTIFICATE_INVALID`
 */
export function readCertificateFields(der: Uint8Array): CertificateFields {
  try {
    const members = membersOf(decode(der, MAX_CERTIFICATE_BYTES), 'the certificate');
    const [tbs, algorithm, signature] = members;
    const [version, serial, tbsAlgorithm, issuer, validity, subject, publicKey, ...rest] = membersOf(tbs, 'the body');
    const marker = contextOf(version, 0);
    if (!Array.isArray(marker) || bytesOf(marker[0], 'the version', TAG.INTEGER)[0] !== 2) {
      throw new Asn1Error('not version 3');
    }
    bytesOf(serial, 'the serial number', TAG.INTEGER);
    // Section 4.1.1.2: the algorithm inside, which is signed, must be the one outside, which is not.
    membersOf(algorithm, 'the algorithm');
    membersOf(tbsAlgorithm, 'the algorithm in the body');
    if (members.length !== 3 || !encode(algorithm as Asn1).equals(encode(tbsAlgorithm as Asn1))) {
      throw new Asn1Error('the two algorithms differ');
    }
    bitsOf(signature, 'the signature');
    membersOf(issuer, 'the issuer');
    const [notBefore, notAfter] = membersOf(validity, 'the validity');
    membersOf(subject, 'the subject');
    membersOf(publicKey, 'the public key');
    return {
      notBefore: timeOf(notBefore, 'notBefore'),
      notAfter: timeOf(notAfter, 'notAfter'),
      subject: encode(subject as Asn1),
      publicKey: encode(publicKey as Asn1),
      ...readExtensions(rest),
    };
  } catch (cause) {
    if (!(cause instanceof Asn1Error)) throw cause;
    throw new MeshError('CERTIFICATE_INVALID', `the certificate is malformed: ${cause.message}`, { cause });
  }
}

/** Node's own view of a certificate, for its signature. @throws MeshError `CERTIFICATE_INVALID` */
export function readX509(certificate: string | Uint8Array): X509Certificate {
  try {
    return new X509Certificate(certificate);
  } catch (cause) {
    throw new MeshError('CERTIFICATE_INVALID', 'not a certificate', { cause });
  }
}

type Extensions = Omit<CertificateFields, 'notBefore' | 'notAfter' | 'subject' | 'publicKey'>;

function readExtensions(rest: readonly Asn1[]): Extensions {
  const holder = contextOf(rest[0], 3);
  // Unique identifiers, which could stand before them, are from another time (section 4.1.2.8).
  if (rest.length !== 1 || !Array.isArray(holder) || holder.length !== 1) throw new Asn1Error('no extensions');
  const extensions = new Map<string, Buffer>();
  for (const extension of membersOf(holder[0], 'the extensions')) {
    const { id, value } = readExtension(extension);
    if (extensions.has(id)) throw new Asn1Error(`the extension ${id} occurs twice`);
    extensions.set(id, value);
  }
  const at = (id: string): Asn1 | undefined => {
    const value = extensions.get(id);
    return value === undefined ? undefined : decode(value, MAX_CERTIFICATE_BYTES);
  };
  const keyUsage = at(OID.keyUsage);
  const keyId = at(OID.subjectKeyIdentifier);
  return {
    uris: readUris(at(OID.subjectAltName)),
    isCa: readCaFlag(at(OID.basicConstraints)),
    keyUsage: keyUsage && (bitsOf(keyUsage, 'keyUsage').bytes[0] ?? 0),
    extendedKeyUsages: readPurposes(at(OID.extendedKeyUsage)),
    subjectKeyId: keyId && bytesOf(keyId, 'subjectKeyIdentifier', TAG.OCTET_STRING),
  };
}

const UNDERSTOOD: ReadonlySet<string> = new Set([
  OID.keyUsage,
  OID.subjectAltName,
  OID.basicConstraints,
  OID.extendedKeyUsage,
  OID.subjectKeyIdentifier,
  OID.authorityKeyIdentifier,
]);

function readExtension(extension: Asn1): { readonly id: string; readonly value: Buffer } {
  const members = membersOf(extension, 'an extension');
  const id = oidOf(members[0], 'the id of an extension');
  if (members.length === 3) {
    // DER never writes the default FALSE, so a flag that is there is TRUE.
    if (bytesOf(members[1], 'critical', TAG.BOOLEAN)[0] !== 0xff) throw new Asn1Error('a critical flag is not TRUE');
    if (!UNDERSTOOD.has(id)) throw new Asn1Error(`the critical extension ${id} is not understood`);
  } else if (members.length !== 2) {
    throw new Asn1Error('an extension has not two or three members');
  }
  return { id, value: bytesOf(members.at(-1), `the value of ${id}`, TAG.OCTET_STRING) };
}

/** GeneralNames (RFC 5280 section 4.2.1.6). Bytes, not text: a NUL or a comma stays what it is and is refused later. */
function readUris(names: Asn1 | undefined): string[] {
  if (names === undefined) return [];
  return membersOf(names, 'subjectAltName').flatMap((name) => {
    const uri = contextOf(name, URI_NAME);
    if (uri === undefined) return [];
    if (Array.isArray(uri)) throw new Asn1Error('a URI name is not a string');
    return [uri.toString('latin1')];
  });
}

function readCaFlag(constraints: Asn1 | undefined): boolean {
  if (constraints === undefined) return false;
  const [flag] = membersOf(constraints, 'basicConstraints');
  return flag?.type === TAG.BOOLEAN && bytesOf(flag, 'cA', TAG.BOOLEAN)[0] !== 0;
}

function readPurposes(purposes: Asn1 | undefined): string[] {
  if (purposes === undefined) return [];
  return membersOf(purposes, 'extendedKeyUsage').map((purpose) => oidOf(purpose, 'a purpose'));
}
