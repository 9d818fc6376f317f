import { MAX_JSON_DEPTH } from './strict-json.ts';
import type { JsonValue } from './strict-json.ts';

export type JcsErrorCode = 'not_finite' | 'lone_surrogate' | 'not_json' | 'too_deep';

/** Why a value has no canonical form: it did not come from the strict parser. */
export class JcsError extends Error {
  override readonly name = 'JcsError';
  readonly code: JcsErrorCode;

  constructor(code: JcsErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

/**
 * Writes a JSON value in the one form of RFC 8785 (JCS), to be hashed or signed as UTF-8.
 *
 * Keys are in UTF-16 code unit order (section 3.2.3), numbers are as ECMAScript prints them (section 3.2.2.3), there
 * is no whitespace and no Unicode normalisation (section 3.1). -0 becomes `0`.
 *
 * Fails closed on whatever JSON cannot express: nothing is skipped and nothing becomes `null`, as `JSON.stringify`
 * would have it; an object of any class (`Map`, `Date`) is refused rather than printed as `{}`.
 *
 * @throws {JcsError} `not_finite` for NaN and the infinities, `lone_surrogate`, `not_json` for undefined, holes,
 *   bigints, functions, symbols and class instances, `too_deep` beyond 1000 levels (so also for a cycle).
 */
export function canonicalizeJson(value: JsonValue): string {
  return writeValue(value, 0);
}

function writeValue(value: unknown, depth: number): string {
  switch (typeof value) {
    case 'string':
      return writeString(value);
    case 'number':
      if (!Number.isFinite(value)) throw new JcsError('not_finite', 'a number is not finite');
      return String(value);
    case 'boolean':
      return value ? 'true' : 'false';
    case 'object':
      if (value === null) return 'null';
      if (depth >= MAX_JSON_DEPTH) throw new JcsError('too_deep', `nested deeper than ${MAX_JSON_DEPTH}`);
      return Array.isArray(value) ? writeArray(value, depth + 1) : writeObject(value, depth + 1);
    default:
      throw new JcsError('not_json', `JSON has no ${typeof value}`);
  }
}

function writeArray(array: readonly unknown[], depth: number): string {
  let written = '[';
  // By index: iterating methods skip holes, and a hole must be refused.
  for (let index = 0; index < array.length; index++) {
    if (index > 0) written += ',';
    written += writeValue(array[index], depth);
  }
  return `${written}]`;
}

function writeObject(object: object, depth: number): string {
  const prototype: unknown = Object.getPrototypeOf(object);
  if (prototype !== null && prototype !== Object.prototype) {
    throw new JcsError('not_json', 'an object is neither plain nor an array');
  }
  // The default sort order is by UTF-16 code units, which is what section 3.2.3 asks for.
  const keys = Object.keys(object).sort();
  let written = '{';
  for (const key of keys) {
    if (written.length > 1) written += ',';
    written += `${writeString(key)}:${writeValue((object as Record<string, unknown>)[key], depth)}`;
  }
  return `${written}}`;
}

/** Printable ASCII without quotes and backslashes, as nearly all texts are: nothing in it is escaped. */
const PLAIN = /^[ !#-[\]-~]*$/;

/** RFC 8785 section 3.2.2.2 is what `JSON.stringify` does, except that the latter escapes a lone surrogate. */
function writeString(text: string): string {
  if (PLAIN.test(text)) return `"${text}"`;
  if (!text.isWellFormed()) throw new JcsError('lone_surrogate', 'a string holds half of a surrogate pair');
  return JSON.stringify(text);
}
