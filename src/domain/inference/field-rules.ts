import type { JsonObject, JsonValue } from '../canonical/strict-json.ts';
import type { InstructionText, OfferedTool } from './model-call.ts';
import { ModelCallError, type ModelCallErrorCode } from './model-call-error.ts';

/** What reading a request finds on the way. */
export interface Found {
  readonly instructions: InstructionText[];
  readonly tools: OfferedTool[];
}

/**
 * Reads one field and gives back what is forwarded of it: a value of our own making, or `undefined` for nothing.
 *
 * @param at where the value stands, for example `messages[0].content`.
 * @throws {ModelCallError}
 */
export type FieldRule = (value: JsonValue, at: string, found: Found) => JsonValue | undefined;

/** The allow-list of one object: what is not in it is refused by name. */
export interface ObjectRules {
  readonly fields: Readonly<Record<string, FieldRule>>;
  readonly required?: readonly string[];
}

const PRINTABLE_NAME = /^[A-Za-z0-9_.$-]{1,64}$/;

/**
 * Rebuilds an object from its allowed members; `null` counts as absent, as OpenAI's own description of most fields has
 * it.
 *
 * @throws {ModelCallError} `bad_type`, `unknown_field`, `missing_field`, and what the rules throw.
 */
export function rebuild(
  value: JsonValue | undefined,
  at: string,
  { rules, found }: { readonly rules: ObjectRules; readonly found: Found },
): JsonObject {
  const object = objectIn(value, at);
  const rebuilt: Record<string, JsonValue> = {};
  for (const [name, member] of Object.entries(object)) {
    const rule = Object.hasOwn(rules.fields, name) ? rules.fields[name] : undefined;
    if (rule === undefined) throw unknownField(name, at);
    if (member === null) continue;
    const kept = rule(member, memberOf(at, name), found);
    if (kept !== undefined) rebuilt[name] = kept;
  }
  for (const name of rules.required ?? []) {
    if ((object[name] ?? null) === null) throw new ModelCallError('missing_field', memberOf(at, name), 'it is missing');
  }
  return rebuilt;
}

function memberOf(at: string, name: string): string {
  return at === '' ? name : `${at}.${name}`;
}

/** A name of no ordinary kind may be a text in disguise, and is not repeated. */
function unknownField(name: string, at: string): ModelCallError {
  const known = PRINTABLE_NAME.test(name);
  const param = known ? memberOf(at, name) : at;
  const what = known ? 'this field is' : 'a field with an unusual name is';
  return new ModelCallError(
    'unknown_field',
    param,
    `${what} not understood here, so it is not forwarded; leave it out`,
  );
}

/** @throws {ModelCallError} `bad_type` */
export function objectIn(value: JsonValue | undefined, at: string): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new ModelCallError('bad_type', at, at === '' ? 'the body must be a JSON object' : 'expected an object');
  }
  return value as JsonObject;
}

/** @throws {ModelCallError} `bad_type`, `too_large` */
export function arrayIn(value: JsonValue, at: string, max: number): readonly JsonValue[] {
  if (!Array.isArray(value)) throw new ModelCallError('bad_type', at, 'expected an array');
  if (value.length > max) throw new ModelCallError('too_large', at, `more than ${max} members`);
  return value as readonly JsonValue[];
}

/** @throws {ModelCallError} `bad_type` */
export function stringIn(value: JsonValue | undefined, at: string): string {
  if (typeof value !== 'string') throw new ModelCallError('bad_type', at, 'expected a string');
  return value;
}

/** An object with an allow-list of its own. */
export function object(rules: ObjectRules): FieldRule {
  return (value, at, found) => rebuild(value, at, { rules, found });
}

export function list(rule: FieldRule, max: number): FieldRule {
  return (value, at, found) =>
    arrayIn(value, at, max).flatMap((member, index) => {
      const kept = rule(member, `${at}[${index}]`, found);
      return kept === undefined ? [] : [kept];
    });
}

/** Text that is not compared with anything: what users, tools and the model said. */
export const freeText: FieldRule = (value, at) => stringIn(value, at);

/** @param max in UTF-16 code units. */
export function boundedText(max: number): FieldRule {
  return (value, at) => {
    const text = stringIn(value, at);
    if (text.length > max) throw new ModelCallError('too_large', at, `longer than ${max} characters`);
    return text;
  };
}

/** @param pattern anchored and bounded. @param what completes "expected …". */
export function pattern(pattern: RegExp, what: string): FieldRule {
  return (value, at) => {
    const text = stringIn(value, at);
    if (!pattern.test(text)) throw new ModelCallError('bad_value', at, `expected ${what}`);
    return text;
  };
}

export const flag: FieldRule = (value, at) => {
  if (typeof value !== 'boolean') throw new ModelCallError('bad_type', at, 'expected true or false');
  return value;
};

/** Only bounds of the kind of number: which values a model takes is for its server to say. */
export const number: FieldRule = (value, at) => {
  if (typeof value !== 'number') throw new ModelCallError('bad_type', at, 'expected a number');
  return value;
};

export function integer(min: number, max: number = Number.MAX_SAFE_INTEGER): FieldRule {
  return (value, at) => {
    if (typeof value !== 'number') throw new ModelCallError('bad_type', at, 'expected an integer');
    if (!Number.isSafeInteger(value) || value < min || value > max) {
      throw new ModelCallError('bad_value', at, `expected an integer from ${min} to ${max}`);
    }
    return value;
  };
}

export function choice(choices: readonly string[]): FieldRule {
  return (value, at) => {
    const text = stringIn(value, at);
    if (!choices.includes(text)) throw new ModelCallError('bad_value', at, `expected ${choices.join(', ')}`);
    return text;
  };
}

/** A field that is refused whatever it says. */
export function refused(code: ModelCallErrorCode, why: string): FieldRule {
  return (_, at) => {
    throw new ModelCallError(code, at, why);
  };
}

/** A switch that may only be off. */
export function onlyFalse(code: ModelCallErrorCode, why: string): FieldRule {
  return (value, at, found) => {
    if (flag(value, at, found) === true) throw new ModelCallError(code, at, why);
    return false;
  };
}

/** A field that answers of a model have and requests repeat: nothing of it is forwarded, and it may hold nothing. */
export function onlyEmpty(why: string): FieldRule {
  return (value, at) => {
    if (arrayIn(value, at, Number.MAX_SAFE_INTEGER).length > 0) throw new ModelCallError('unsupported_value', at, why);
    return undefined;
  };
}

/** As {@link onlyEmpty}, for what says nothing to a model and may therefore be left out whatever it is. */
export const dropped: FieldRule = () => undefined;
