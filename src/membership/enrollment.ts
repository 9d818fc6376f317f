import { readFileSync } from 'node:fs';
import type { RootPin } from '../crypto/root-pin.ts';
import type { SpiffeId, TrustDomain } from '../domain/agent-id.ts';
import { parseJoinCredential, type JoinCredential, type JoiningKind } from '../domain/join-credential.ts';
import { MeshError } from '../domain/mesh-error.ts';

/** What lets an instance in, as the members of a `JoinRequest`. */
export type JoinEvidence =
  { readonly credentialId: string; readonly credentialSecret: Buffer } | { readonly serviceAccountToken: string };

/** How this instance becomes a member: who it is to be, whom it trusts for that, and what it shows. */
export interface Enrollment {
  readonly trustDomain: TrustDomain;
  /** An agent or an inference service. */
  readonly subject: SpiffeId;
  /** Of the authority's root: there is no trust on first use. */
  readonly rootSha256: RootPin;
  /** The authority's `host:port`. */
  readonly authority: string;
  /** Called for each attempt anew: the kubelet replaces a token long before it ends. @throws MeshError `FILE_UNREADABLE` */
  readonly evidence: () => Promise<JoinEvidence>;
}

export function enrollWithCredential(credential: JoinCredential): Enrollment {
  const { trustDomain, subject, rootSha256, authority, id, secret } = credential;
  const evidence = { credentialId: id, credentialSecret: Buffer.from(secret) };
  return { trustDomain, subject, rootSha256, authority, evidence: () => Promise.resolve(evidence) };
}

const WRITTEN_BY = {
  agent: 'ait agent credential <agent> --out <file>',
  inference: 'ait inference credential <name> --out <file>',
} as const satisfies Record<JoiningKind, string>;

/** @throws MeshError `FILE_UNREADABLE`, `JOIN_CREDENTIAL_MALFORMED`, also for a credential of another kind */
export function readCredentialFile(path: string, kind: JoiningKind): JoinCredential {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new MeshError('FILE_UNREADABLE', `cannot read the join credential ${path}`, {
      cause,
      hint: `\`${WRITTEN_BY[kind]}\` on the authority writes one`,
    });
  }
  return parseJoinCredential(text, kind);
}
