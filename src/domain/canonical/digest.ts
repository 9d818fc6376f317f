import { hash } from 'node:crypto';
import { canonicalizeJson } from './jcs.ts';
import type { JsonValue } from './strict-json.ts';
import { canonicalizeText } from './text.ts';

/** A text: `canonicalizeText`, then SHA-256 of its UTF-8 form. */
export const AIT_TEXT_1 = 'ait-text-1';
/** A JSON value: strict parse, then SHA-256 of its RFC 8785 form. */
export const AIT_JSON_1 = 'ait-json-1';
/** Named digests whose order means nothing: sorted by name, then SHA-256 of their RFC 8785 list. */
export const AIT_SET_1 = 'ait-set-1';
/** Named digests whose order counts: SHA-256 of their RFC 8785 list as given. */
export const AIT_SEQ_1 = 'ait-seq-1';
/** A prompt with typed slots: SHA-256 of the RFC 8785 form of its text's digest and its slots' declarations. */
export const AIT_TEMPLATE_1 = 'ait-template-1';
/** The statement that there is no instruction: SHA-256 of no bytes, which is the digest of nothing else here. */
export const AIT_NONE_1 = 'ait-none-1';

/**
 * The rule under which a digest was made. Rules do not mark what they hash (a sequence that happens to be sorted
 * digests like the set), so two digests are comparable only when their rules are equal: keep the two together.
 */
export type Canonicalization =
  | typeof AIT_TEXT_1
  | typeof AIT_JSON_1
  | typeof AIT_SET_1
  | typeof AIT_SEQ_1
  | typeof AIT_TEMPLATE_1
  | typeof AIT_NONE_1;

/** `sha256:` and exactly 64 lowercase hexadecimal characters; {@link isDigest} checks what the type cannot. */
export type Digest = `sha256:${string}`;

/** One member of a set or a sequence, such as a file of a prompt or an entry of a knowledge base. */
export interface NamedDigest {
  /** Unique within its list, not empty, compared code unit by code unit: no case folding, no path normalisation. */
  readonly name: string;
  readonly sha256: Digest;
}

export type DigestErrorCode = 'empty_list' | 'duplicate_name' | 'bad_name' | 'bad_digest' | 'lone_surrogate';

/** Why something has no digest. */
export class DigestError extends Error {
  override readonly name = 'DigestError';
  readonly code: DigestErrorCode;

  constructor(code: DigestErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

const PREFIX = 'sha256:';
const DIGEST = /^sha256:[0-9a-f]{64}$/;
/**
 * SHA-256 (FIPS 180-4) of bytes, or of a string as UTF-8.
 *
 * @throws {DigestError} `lone_surrogate`: UTF-8 encoders replace those silently, so different strings would collide.
 */
export function sha256Digest(data: string | Uint8Array): Digest {
  if (typeof data === 'string' && !data.isWellFormed()) {
    throw new DigestError('lone_surrogate', 'the string holds half of a surrogate pair');
  }
  return `${PREFIX}${hash('sha256', data, 'hex')}`;
}

/** Whether a value is a digest in its only accepted spelling. Upper case and surrounding space are not. */
export function isDigest(value: unknown): value is Digest {
  return typeof value === 'string' && DIGEST.test(value);
}

/**
 * The digest of a text under {@link AIT_TEXT_1}.
 *
 * @throws {import('./text.ts').TextError} when the bytes are not a text.
 */
export function digestText(bytes: Uint8Array): Digest {
  return sha256Digest(canonicalizeText(bytes));
}

/**
 * The digest of a JSON value under {@link AIT_JSON_1}; the value must come from the strict parser.
 *
 * @throws {import('./jcs.ts').JcsError} when the value is not JSON.
 */
export function digestJson(value: JsonValue): Digest {
  return sha256Digest(canonicalizeJson(value));
}

/**
 * The digest of an unordered set under {@link AIT_SET_1}: the list `[{"name":…,"sha256":…},…]` in RFC 8785 form,
 * sorted by name in UTF-16 code unit order. There, `sha256` is the bare 64 hexadecimal characters without prefix.
 *
 * Fails closed on the empty set: whoever approves nothing must say so in another way.
 *
 * @throws {DigestError} `empty_list`, `duplicate_name` (even with equal digests), `bad_name`, `bad_digest`.
 */
export function digestSet(entries: readonly NamedDigest[]): Digest {
  return digestList([...entries].sort((left, right) => (left.name < right.name ? -1 : 1)));
}

/**
 * The digest of an ordered list under {@link AIT_SEQ_1}: as {@link digestSet}, but in the order given. Names are
 * unique here too: a part that is wanted twice gets two names.
 *
 * @throws {DigestError} `empty_list`, `duplicate_name`, `bad_name`, `bad_digest`.
 */
export function digestSequence(entries: readonly NamedDigest[]): Digest {
  return digestList(entries);
}

function digestList(entries: readonly NamedDigest[]): Digest {
  if (entries.length === 0) throw new DigestError('empty_list', 'there is nothing to digest');
  const names = new Set<string>();
  const list = entries.map(({ name, sha256 }) => {
    if (name === '' || !name.isWellFormed()) {
      throw new DigestError('bad_name', 'a name is empty or holds half of a surrogate pair');
    }
    if (!isDigest(sha256)) throw new DigestError('bad_digest', 'an entry has no well-formed SHA-256 digest');
    if (names.has(name)) throw new DigestError('duplicate_name', 'two entries have the same name');
    names.add(name);
    return { name, sha256: sha256.slice(PREFIX.length) };
  });
  return digestJson(list);
}
