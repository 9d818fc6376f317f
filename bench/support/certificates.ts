import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram } from './children.ts';

/** PEM files: a certificate with its key, alone and in one file, and the root that issued it. */
export interface CertificateFiles {
  readonly cert: string;
  readonly key: string;
  readonly both: string;
  readonly root: string;
}

/**
 * As the mesh's own: P-256, issued by one root; with the host name that nginx asks for. One serves both ends.
 *
 * @param prefix of the files' names, so that a second set, of another root, can stand beside the first
 */
export function createCertificates(folder: string, prefix = ''): CertificateFiles {
  const openssl = findProgram('openssl', 'openssl');
  const file = (name: string) => join(folder, `${prefix}${name}`);
  const request = (...args: string[]) => {
    const fixed = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
    execFileSync(openssl, [...fixed, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
  };
  request('-subj', '/CN=bench', '-keyout', file('root.key'), '-out', file('root.pem'));
  const names = ['-subj', '/CN=callee', '-addext', 'subjectAltName=DNS:callee', '-addext', 'basicConstraints=CA:FALSE'];
  const issuer = ['-CA', file('root.pem'), '-CAkey', file('root.key')];
  request(...names, ...issuer, '-keyout', file('key.pem'), '-out', file('cert.pem'));
  writeFileSync(file('both.pem'), readFileSync(file('cert.pem'), 'utf8') + readFileSync(file('key.pem'), 'utf8'), {
    mode: 0o600,
  });
  return { cert: file('cert.pem'), key: file('key.pem'), both: file('both.pem'), root: file('root.pem') };
}
