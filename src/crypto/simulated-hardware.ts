import type { KeyObject } from 'node:crypto';
import { sha256Digest, type Digest } from '../domain/canonical/digest.ts';
import { MeshError } from '../domain/mesh-error.ts';
import { bitString, booleanTrue, octetString, sequence, unsignedInteger } from './asn1.ts';
import { KEY_USAGE, OID, readCertificateFields, readX509 } from './certificate-fields.ts';
import { SIMULATED_MARK } from './evidence-chain.ts';
import { certificateToPem, generateKeyPair, privateKeyFromPem, privateKeyToPem } from './keys.ts';
import { commonNameOnly, critical, extension, keyIdentifier, signCertificate } from './x509-issuer.ts';

const SERIAL_BYTES = 16;
const ROOT_NAME = `${SIMULATED_MARK} ait-mesh evidence root`;
const KEY_NAME = `${SIMULATED_MARK} hardware key`;

/** Validity of a certificate, milliseconds since the epoch. */
export interface Validity {
  readonly notBefore: number;
  readonly notAfter: number;
}

/** A root in the place of a hardware maker's: it proves nothing about hardware, and says so in its name. */
export interface SimulatedRoot {
  readonly certificateDer: Buffer;
  readonly privateKey: KeyObject;
  /** SHA-256 of the certificate: what a policy approves under `evidence_roots`. */
  readonly pin: Digest;
  readonly notAfter: number;
}

/** The key that signs evidence, and how others come to trust it. */
export interface SimulatedHardwareKey {
  readonly privateKey: KeyObject;
  /** DER: its certificate, the root. */
  readonly chain: readonly Buffer[];
  readonly notAfter: number;
}

/** @returns PEM of certificate and key, as {@link readSimulatedRoot} takes them. @throws MeshError `CERTIFICATE_INVALID` */
export function createSimulatedRoot({ notBefore, notAfter }: Validity): string {
  const { publicKey, privateKey } = generateKeyPair();
  const keyId = keyIdentifier(publicKey);
  const name = commonNameOnly(ROOT_NAME);
  const der = signCertificate(privateKey, {
    serial: keyId.subarray(0, SERIAL_BYTES),
    issuer: name,
    subject: name,
    notBefore,
    notAfter,
    publicKey,
    extensions: [
      critical(OID.basicConstraints, sequence(booleanTrue(), unsignedInteger(Buffer.from([0])))),
      critical(OID.keyUsage, bitString(Buffer.from([KEY_USAGE.keyCertSign]), 2)),
      extension(OID.subjectKeyIdentifier, octetString(keyId)),
    ],
  });
  return certificateToPem(der) + privateKeyToPem(privateKey);
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/;
const PRIVATE_KEY = /-----BEGIN PRIVATE KEY-----[^-]+-----END PRIVATE KEY-----/;

/** @throws MeshError `CERTIFICATE_INVALID`, `KEY_INVALID` */
export function readSimulatedRoot(pem: string): SimulatedRoot {
  const certificate = readX509(CERTIFICATE.exec(pem)?.[0] ?? '');
  const privateKey = privateKeyFromPem(PRIVATE_KEY.exec(pem)?.[0] ?? '');
  const { notAfter, subject } = readCertificateFields(certificate.raw);
  if (!certificate.checkPrivateKey(privateKey) || !subject.includes(SIMULATED_MARK)) {
    throw new MeshError('CERTIFICATE_INVALID', 'not a root of simulated hardware with its own key');
  }
  return { certificateDer: certificate.raw, privateKey, pin: sha256Digest(certificate.raw), notAfter };
}

/**
 * Makes a key of simulated hardware; its validity is cut to the root's.
 *
 * @param serial 16 unpredictable bytes, never used before
 * @throws MeshError `CERTIFICATE_INVALID`
 */
export function createSimulatedHardwareKey(
  root: SimulatedRoot,
  { notBefore, notAfter: wanted, serial }: Validity & { readonly serial: Uint8Array },
): SimulatedHardwareKey {
  const { publicKey, privateKey } = generateKeyPair();
  const notAfter = Math.min(wanted, root.notAfter);
  const der = signCertificate(root.privateKey, {
    serial,
    issuer: readCertificateFields(root.certificateDer).subject,
    subject: commonNameOnly(KEY_NAME),
    notBefore,
    notAfter,
    publicKey,
    extensions: [
      critical(OID.basicConstraints, sequence()),
      critical(OID.keyUsage, bitString(Buffer.from([KEY_USAGE.digitalSignature]), 7)),
      extension(OID.subjectKeyIdentifier, octetString(keyIdentifier(publicKey))),
    ],
  });
  return { privateKey, chain: [der, root.certificateDer], notAfter };
}
