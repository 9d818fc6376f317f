import type { SpiffeId, TrustDomain } from './agent-id.ts';
import { sha256Digest } from './canonical/digest.ts';
import { canonicalizeJson } from './canonical/jcs.ts';
import type { JsonValue } from './canonical/strict-json.ts';
import type { StateHead } from './mesh-state.ts';

/** Why a head is not taken. A refusal leaves the state in force as it was. */
export type HeadRefusal =
  | 'STATE_WRONG_DOMAIN'
  | 'STATE_WRONG_RECIPIENT'
  | 'STATE_CONTENT_MISMATCH'
  | 'STATE_EXPIRED'
  | 'STATE_ROLLED_BACK'
  | 'STATE_FORKED';

export type HeadDecision =
  | {
      readonly accepted: true;
      /** The content is what we have already; only its time is new. */
      readonly refresh: boolean;
    }
  | { readonly accepted: false; readonly code: HeadRefusal; readonly detail: string };

export interface HeadQuestion {
  /** The newest head taken so far, from disk after a restart; `undefined` before the first. */
  readonly current: StateHead | undefined;
  /** Its signature was verified already. */
  readonly next: StateHead;
  readonly recipient: SpiffeId;
  readonly domain: TrustDomain;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/**
 * SHA-256 (lowercase hexadecimal) of one object, over its RFC 8785 form and not over its signature: ECDSA signs anew
 * each time, and the same state signed again, or by another replica, must not look like another state.
 */
export function objectDigest(object: JsonValue): string {
  return sha256Digest(canonicalizeJson(object)).slice('sha256:'.length);
}

/** SHA-256 (lowercase hexadecimal) over the RFC 8785 list of object digests, sorted, each once. */
export function contentDigest(objectDigests: readonly string[]): string {
  const sorted = [...new Set(objectDigests)].toSorted();
  return sha256Digest(canonicalizeJson(sorted)).slice('sha256:'.length);
}

/**
 * Whether a head may follow the one in force: meant for us, honest about its content, not past its end, and neither
 * older than what we have nor another branch of it. Fails closed. A higher epoch starts over: an operator restored the
 * authority from a backup.
 */
export function acceptHead({ current, next, recipient, domain, now }: HeadQuestion): HeadDecision {
  if (next.domain !== domain)
    return refuse('STATE_WRONG_DOMAIN', `the state is of ${next.domain}, we are in ${domain}`);
  if (next.recipient !== recipient) {
    return refuse('STATE_WRONG_RECIPIENT', `the state is for ${next.recipient}, we are ${recipient}`);
  }
  if (next.content !== contentDigest(next.objects)) {
    return refuse('STATE_CONTENT_MISMATCH', "the head's content is not the digest of its list of objects");
  }
  if (now >= next.notAfter) {
    return refuse('STATE_EXPIRED', `the state ended at ${iso(next.notAfter)}, our clock says ${iso(now)}`);
  }
  if (current === undefined) return { accepted: true, refresh: false };
  return compareHeads(current, next);
}

function compareHeads(current: StateHead, next: StateHead): HeadDecision {
  const [ours, theirs] = [position(current), position(next)];
  if (next.epoch < current.epoch) return refuse('STATE_ROLLED_BACK', `${theirs} after ${ours}`);
  if (next.epoch > current.epoch) return { accepted: true, refresh: false };
  if (next.revision < current.revision) return refuse('STATE_ROLLED_BACK', `${theirs} after ${ours}`);
  if (next.revision === current.revision) {
    if (next.content !== current.content) return refuse('STATE_FORKED', `${theirs} has another content than ours`);
    if (next.issuedAt < current.issuedAt) return refuse('STATE_ROLLED_BACK', `an older signature over ${ours}`);
    return { accepted: true, refresh: true };
  }
  if (next.previous?.revision === current.revision && next.previous.content !== current.content) {
    return refuse('STATE_FORKED', `${theirs} follows another ${ours} than ours`);
  }
  return { accepted: true, refresh: false };
}

function position({ epoch, revision }: StateHead): string {
  return `revision ${revision} of epoch ${epoch}`;
}

function refuse(code: HeadRefusal, detail: string): HeadDecision {
  return { accepted: false, code, detail };
}

function iso(at: number): string {
  return Number.isFinite(at) && Math.abs(at) <= 8.64e15 ? new Date(at).toISOString() : String(at);
}
