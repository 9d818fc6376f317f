/** Any value that JSON can express (RFC 8259 section 3). Objects that come from the parser have no prototype. */
export type JsonValue = null | boolean | number | string | JsonArray | JsonObject;
export type JsonArray = readonly JsonValue[];
export interface JsonObject {
  readonly [key: string]: JsonValue;
}

export type JsonErrorCode = 'syntax' | 'duplicate_key' | 'unsafe_number' | 'lone_surrogate' | 'too_deep' | 'not_utf8';

/** Why a text is not acceptable JSON. The message names a position and never repeats the input, so it may be logged. */
export class JsonError extends Error {
  override readonly name = 'JsonError';
  readonly code: JsonErrorCode;
  /** UTF-16 index of the offending character; -1 for `not_utf8`, where there is no text to index. */
  readonly offset: number;

  constructor(code: JsonErrorCode, offset: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.offset = offset;
  }
}

export interface JsonLimits {
  /** How many arrays and objects may be open at once; 1 to 1000, default 64. A bare scalar has depth 0. */
  readonly maxDepth?: number;
}

/** The deepest nesting any caller may ask for: far below what the smallest supported stack can hold. */
export const MAX_JSON_DEPTH = 1000;

const DEFAULT_MAX_DEPTH = 64;
/** From here on ECMAScript, and so RFC 8785, prints an integral number with an exponent. */
const EXPONENT_FROM = 1e21;

const TAB = 0x09;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const SPACE = 0x20;
const QUOTE = 0x22;
const PLUS = 0x2b;
const COMMA = 0x2c;
const MINUS = 0x2d;
const DOT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const COLON = 0x3a;
const UPPER_E = 0x45;
const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_BRACKET = 0x5d;
const LOWER_E = 0x65;
const LOWER_F = 0x66;
const LOWER_N = 0x6e;
const LOWER_T = 0x74;
const LOWER_U = 0x75;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const BYTE_ORDER_MARK = 0xfeff;

interface Cursor {
  readonly text: string;
  readonly maxDepth: number;
  at: number;
}

/**
 * Parses RFC 8259 JSON and refuses whatever two readers could understand differently (RFC 7493, I-JSON).
 *
 * - Equal keys in one object, compared after unescaping, are refused: readers disagree on which one wins.
 * - Lone surrogates, raw or escaped, in strings and keys, are refused: they have no UTF-8 form to hash.
 * - Numbers that overflow to infinity are refused, and so are integers beyond ±(2^53 - 1), be they written so or
 *   merely printed so by RFC 8785 (`1e20` becomes `100000000000000000000`). Hence a canonical form always parses
 *   again. Larger reals (`1e30`) are accepted. Rounding to the nearest double is accepted, down to zero.
 * - `-0` is accepted and stays -0; RFC 8785 prints it as `0`.
 * - Objects have no prototype: `__proto__` is an ordinary key, and nothing is inherited that a lookup could find.
 *
 * Fails closed: it returns a whole value or throws.
 *
 * @throws {JsonError} with a code and a position.
 * @throws {RangeError} when `limits.maxDepth` is not an integer from 1 to 1000.
 */
export function parseStrictJson(text: string, limits: JsonLimits = {}): JsonValue {
  const maxDepth = limits.maxDepth ?? DEFAULT_MAX_DEPTH;
  if (!Number.isInteger(maxDepth) || maxDepth < 1 || maxDepth > MAX_JSON_DEPTH) {
    throw new RangeError(`maxDepth must be an integer from 1 to ${MAX_JSON_DEPTH}`);
  }
  const cursor: Cursor = { text, maxDepth, at: 0 };
  if (text.charCodeAt(0) === BYTE_ORDER_MARK) throw failure(cursor, 'syntax', 'a byte order mark is not JSON');
  skipWhitespace(cursor);
  const value = parseValue(cursor, 0);
  skipWhitespace(cursor);
  if (cursor.at < text.length) throw failure(cursor, 'syntax', 'unexpected text after the value');
  return value;
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * As {@link parseStrictJson}, for bytes that must be UTF-8 (RFC 8259 section 8.1). A byte order mark is a syntax error.
 *
 * @throws {JsonError} `not_utf8`, or any other code.
 */
export function parseStrictJsonBytes(bytes: Uint8Array, limits: JsonLimits = {}): JsonValue {
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch (cause) {
    throw new JsonError('not_utf8', -1, 'the bytes are not valid UTF-8', { cause });
  }
  return parseStrictJson(text, limits);
}

function parseValue(cursor: Cursor, depth: number): JsonValue {
  switch (cursor.text.charCodeAt(cursor.at)) {
    case QUOTE:
      return parseString(cursor);
    case OPEN_BRACE:
      return parseObject(cursor, depth + 1);
    case OPEN_BRACKET:
      return parseArray(cursor, depth + 1);
    case LOWER_T:
      return parseWord(cursor, 'true', true);
    case LOWER_F:
      return parseWord(cursor, 'false', false);
    case LOWER_N:
      return parseWord(cursor, 'null', null);
    default:
      return parseNumber(cursor);
  }
}

function parseObject(cursor: Cursor, depth: number): JsonObject {
  if (depth > cursor.maxDepth) throw tooDeep(cursor);
  const object = Object.create(null) as Record<string, JsonValue>;
  cursor.at++;
  skipWhitespace(cursor);
  if (takeIf(cursor, CLOSE_BRACE)) return object;
  for (;;) {
    const keyAt = cursor.at;
    if (cursor.text.charCodeAt(keyAt) !== QUOTE) throw failure(cursor, 'syntax', 'expected a quoted key');
    const key = parseString(cursor);
    if (key in object) throw failure(cursor, 'duplicate_key', 'this key is already in the object', keyAt);
    skipWhitespace(cursor);
    if (!takeIf(cursor, COLON)) throw failure(cursor, 'syntax', 'expected ":"');
    skipWhitespace(cursor);
    object[key] = parseValue(cursor, depth);
    skipWhitespace(cursor);
    if (takeIf(cursor, CLOSE_BRACE)) return object;
    if (!takeIf(cursor, COMMA)) throw failure(cursor, 'syntax', 'expected "," or "}"');
    skipWhitespace(cursor);
  }
}

function parseArray(cursor: Cursor, depth: number): JsonArray {
  if (depth > cursor.maxDepth) throw tooDeep(cursor);
  const array: JsonValue[] = [];
  cursor.at++;
  skipWhitespace(cursor);
  if (takeIf(cursor, CLOSE_BRACKET)) return array;
  for (;;) {
    array.push(parseValue(cursor, depth));
    skipWhitespace(cursor);
    if (takeIf(cursor, CLOSE_BRACKET)) return array;
    if (!takeIf(cursor, COMMA)) throw failure(cursor, 'syntax', 'expected "," or "]"');
    skipWhitespace(cursor);
  }
}

function parseWord<Value extends JsonValue>(cursor: Cursor, word: string, value: Value): Value {
  if (!cursor.text.startsWith(word, cursor.at)) throw failure(cursor, 'syntax', 'expected a value');
  cursor.at += word.length;
  return value;
}

/** RFC 8259 section 6. */
function parseNumber(cursor: Cursor): number {
  const { text } = cursor;
  const start = cursor.at;
  let integerLiteral = true;
  if (text.charCodeAt(start) === MINUS) cursor.at++;
  if (text.charCodeAt(cursor.at) === ZERO) cursor.at++;
  else takeDigits(cursor, cursor.at === start ? 'expected a value' : 'expected a digit');
  if (takeIf(cursor, DOT)) {
    integerLiteral = false;
    takeDigits(cursor, 'expected a digit');
  }
  const marker = text.charCodeAt(cursor.at);
  if (marker === LOWER_E || marker === UPPER_E) {
    integerLiteral = false;
    cursor.at++;
    if (!takeIf(cursor, PLUS)) takeIf(cursor, MINUS);
    takeDigits(cursor, 'expected a digit');
  }
  const value = Number(text.slice(start, cursor.at));
  const magnitude = Math.abs(value);
  if (magnitude > Number.MAX_SAFE_INTEGER) {
    if (magnitude === Infinity) throw failure(cursor, 'unsafe_number', 'a number too large for a double', start);
    if (integerLiteral || magnitude < EXPONENT_FROM) {
      throw failure(cursor, 'unsafe_number', 'an integer beyond ±(2^53 - 1)', start);
    }
  }
  return value;
}

/** RFC 8259 section 7. A string without escapes, the usual kind, costs one scan and one slice. */
function parseString(cursor: Cursor): string {
  const { text } = cursor;
  let unescaped = '';
  let from = ++cursor.at;
  for (;;) {
    const unit = text.charCodeAt(cursor.at);
    if (unit === QUOTE) {
      const rest = text.slice(from, cursor.at++);
      return unescaped === '' ? rest : unescaped + rest;
    }
    if (unit === BACKSLASH) {
      unescaped += text.slice(from, cursor.at) + parseEscape(cursor);
      from = cursor.at;
    } else if (unit < SPACE) {
      throw failure(cursor, 'syntax', 'a control character in a string must be escaped');
    } else if (isSurrogate(unit)) {
      if (!isHighSurrogate(unit) || !isLowSurrogate(text.charCodeAt(cursor.at + 1))) throw loneSurrogate(cursor);
      cursor.at += 2;
    } else if (cursor.at < text.length) {
      cursor.at++;
    } else {
      throw failure(cursor, 'syntax', 'the string does not end');
    }
  }
}

const ESCAPED = '"\\/bfnrt';
const MEANT = '"\\/\b\f\n\r\t';

/** One escape, or two when they make up a surrogate pair; an escaped half never pairs with a raw one. */
function parseEscape(cursor: Cursor): string {
  const { text, at } = cursor;
  if (text.charCodeAt(at + 1) !== LOWER_U) {
    const index = at + 1 < text.length ? ESCAPED.indexOf(text.charAt(at + 1)) : -1;
    if (index < 0) throw failure(cursor, 'syntax', 'an unknown escape');
    cursor.at += 2;
    return MEANT.charAt(index);
  }
  const unit = parseHexEscape(cursor, at);
  if (!isSurrogate(unit)) {
    cursor.at += 6;
    return String.fromCharCode(unit);
  }
  if (!isHighSurrogate(unit) || !text.startsWith('\\u', at + 6)) throw loneSurrogate(cursor);
  const low = parseHexEscape(cursor, at + 6);
  if (!isLowSurrogate(low)) throw loneSurrogate(cursor);
  cursor.at += 12;
  return String.fromCharCode(unit, low);
}

const FOUR_HEX_DIGITS = /^[0-9a-fA-F]{4}$/;

function parseHexEscape(cursor: Cursor, at: number): number {
  const digits = cursor.text.slice(at + 2, at + 6);
  if (!FOUR_HEX_DIGITS.test(digits)) throw failure(cursor, 'syntax', 'expected four hexadecimal digits', at);
  return Number.parseInt(digits, 16);
}

function takeDigits(cursor: Cursor, complaint: string): void {
  const start = cursor.at;
  for (;;) {
    const unit = cursor.text.charCodeAt(cursor.at);
    if (!(unit >= ZERO && unit <= NINE)) break;
    cursor.at++;
  }
  if (cursor.at === start) throw failure(cursor, 'syntax', complaint);
}

function takeIf(cursor: Cursor, unit: number): boolean {
  if (cursor.text.charCodeAt(cursor.at) !== unit) return false;
  cursor.at++;
  return true;
}

function skipWhitespace(cursor: Cursor): void {
  for (;;) {
    const unit = cursor.text.charCodeAt(cursor.at);
    if (unit !== SPACE && unit !== LINE_FEED && unit !== CARRIAGE_RETURN && unit !== TAB) return;
    cursor.at++;
  }
}

const isSurrogate = (unit: number): boolean => (unit & 0xf800) === 0xd800;
const isHighSurrogate = (unit: number): boolean => (unit & 0xfc00) === 0xd800;
const isLowSurrogate = (unit: number): boolean => (unit & 0xfc00) === 0xdc00;

const tooDeep = (cursor: Cursor): JsonError => failure(cursor, 'too_deep', `nested deeper than ${cursor.maxDepth}`);
const loneSurrogate = (cursor: Cursor): JsonError => failure(cursor, 'lone_surrogate', 'half of a surrogate pair');

/** Lines and columns count from 1; columns in UTF-16 code units, as most editors do. */
function failure(cursor: Cursor, code: JsonErrorCode, complaint: string, offset = cursor.at): JsonError {
  const { line, column } = positionOf(cursor.text, offset);
  const where = offset >= cursor.text.length ? ', at the end' : '';
  return new JsonError(code, offset, `${complaint} (${line}:${column}${where})`);
}

/** Counted, not split: a text of eight million line ends would make as many strings, and keep everybody waiting. */
function positionOf(text: string, offset: number): { readonly line: number; readonly column: number } {
  let [line, start] = [1, 0];
  for (let at = 0; at < offset; at++) {
    const unit = text.charCodeAt(at);
    if (unit !== LINE_FEED && unit !== CARRIAGE_RETURN) continue;
    if (unit === CARRIAGE_RETURN || text.charCodeAt(at - 1) !== CARRIAGE_RETURN) line++;
    start = at + 1;
  }
  return { line, column: offset - start + 1 };
}
