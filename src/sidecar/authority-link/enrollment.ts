import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { readX509 } from '../../crypto/certificate-fields.ts';
import { rootPin, type RootPin } from '../../crypto/root-pin.ts';
import { parseTrustDomain, resolveAgentId } from '../../domain/agent-id.ts';
import { MeshError } from '../../domain/mesh-error.ts';
import { enrollWithCredential, readCredentialFile, type Enrollment } from '../../membership/enrollment.ts';
import type { SidecarConfig } from '../config.ts';

/**
 * Reads how to join from the section `authority` of the configuration, whose schema has seen to it that one way is
 * complete.
 *
 * @throws MeshError `FILE_UNREADABLE`, `JOIN_CREDENTIAL_MALFORMED`, `CERTIFICATE_INVALID`, `SPIFFE_ID_INVALID`
 */
export function readEnrollment(section: SidecarConfig['authority'], folder: string): Enrollment {
  const { join_credential: credential, service_account_token_file: token } = section;
  if (credential !== undefined) {
    const enrollment = enrollWithCredential(readCredentialFile(resolve(folder, credential), 'agent'));
    return { ...enrollment, authority: section.address ?? enrollment.authority };
  }
  const { trust_domain: domain, agent, address } = section;
  if (token === undefined || domain === undefined || agent === undefined || address === undefined) {
    throw new MeshError('CONFIG_INVALID', 'authority has neither a join credential nor all that a token needs');
  }
  const trustDomain = parseTrustDomain(domain);
  const path = resolve(folder, token);
  return {
    trustDomain,
    subject: resolveAgentId(trustDomain, agent),
    rootSha256: readRootPin(section, folder),
    authority: address,
    evidence: async () => ({ serviceAccountToken: await readToken(path) }),
  };
}

/** A JWT and nothing else: what is no token is told here, and not sent to anybody. */
const COMPACT_JWS = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*$/;
const MAX_TOKEN_CHARS = 16 * 1024;

async function readToken(path: string): Promise<string> {
  const hint = "mount a projected volume with a serviceAccountToken into the sidecar's container, and name its file";
  let token: string;
  try {
    token = (await readFile(path, 'utf8')).trim();
  } catch (cause) {
    throw new MeshError('FILE_UNREADABLE', `cannot read the ServiceAccount token ${path}`, { cause, hint });
  }
  if (token.length > MAX_TOKEN_CHARS || !COMPACT_JWS.test(token)) {
    throw new MeshError('FILE_UNREADABLE', `${path} holds no ServiceAccount token`, { hint });
  }
  return token;
}

function readRootPin({ root_sha256: pin, root_file: file }: SidecarConfig['authority'], folder: string): RootPin {
  if (pin !== undefined) return pin;
  const hint = 'GET /status of the authority has root_certificate and root_sha256';
  if (file === undefined) throw new MeshError('CONFIG_INVALID', 'authority has neither root_sha256 nor root_file');
  const path = resolve(folder, file);
  let pem: string;
  try {
    pem = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new MeshError('FILE_UNREADABLE', `cannot read the authority's root ${path}`, { cause, hint });
  }
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----/g) ?? [];
  if (blocks.length !== 1) {
    throw new MeshError('CERTIFICATE_INVALID', `${path} holds ${blocks.length} certificates, not the one root`, {
      hint,
    });
  }
  return rootPin(readX509(pem).raw);
}
