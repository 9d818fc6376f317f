import type { SecureContextOptions } from 'node:tls';
import { MeshError } from '../domain/mesh-error.ts';
import { readX509 } from './certificate-fields.ts';

const PEM_BLOCK = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/**
 * How the authority asks an issuer for its keys. The issuer is no part of the mesh: its certificate is checked as on the
 * web, by name and against the given roots only, or against those that Node.js trusts where none are given.
 *
 * @param caPem one or more certificates.
 * @throws MeshError `TRUST_ROOTS_EMPTY`, `CERTIFICATE_INVALID`
 */
export function issuerTlsOptions(caPem: string | undefined): SecureContextOptions & { rejectUnauthorized: true } {
  const options = { minVersion: 'TLSv1.2', rejectUnauthorized: true } as const;
  if (caPem === undefined) return options;
  const blocks = caPem.match(PEM_BLOCK) ?? [];
  if (blocks.length === 0) throw new MeshError('TRUST_ROOTS_EMPTY', 'there is no certificate in PEM in it');
  // Node skips a root that it cannot read, without a word.
  blocks.forEach((pem) => readX509(pem));
  return { ...options, ca: [...blocks] };
}
