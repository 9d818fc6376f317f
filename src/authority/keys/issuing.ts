import type { KeyObject } from 'node:crypto';
import type { SpiffeId } from '../../domain/agent-id.ts';
import { readX509 } from '../../crypto/certificate-fields.ts';
import { readSvid } from '../../crypto/svid.ts';
import { issueSvid, type Issuer } from '../../crypto/x509-issuer.ts';
import { BACKDATE_MS } from './key-material.ts';

export interface IssuedSvid {
  readonly pem: string;
  readonly der: Buffer;
  /** `x5t#S256`. */
  readonly thumbprint: string;
  /** Milliseconds since the epoch. */
  readonly notAfter: number;
}

export interface LeafRequest {
  readonly issuer: Issuer;
  readonly spiffeId: SpiffeId;
  readonly publicKey: KeyObject;
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** In ms; cut where the root ends. */
  readonly lifetimeMs: number;
  /** 16 unpredictable bytes, never used before. */
  readonly serial: Uint8Array;
}

/** Issues a certificate that is valid from a little before now. @throws MeshError `KEY_INVALID`, `CERTIFICATE_INVALID` */
export function issueLeaf({ issuer, spiffeId, publicKey, now, lifetimeMs, serial }: LeafRequest): IssuedSvid {
  const pem = issueSvid({
    issuer,
    publicKey,
    spiffeId,
    notBefore: now - BACKDATE_MS,
    notAfter: Math.min(now + lifetimeMs, issuer.notAfter),
    serial,
  });
  const der = readX509(pem).raw;
  const { thumbprint, notAfter } = readSvid(der);
  return { pem, der, thumbprint, notAfter };
}
