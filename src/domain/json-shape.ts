import type { JsonObject, JsonValue } from './canonical/strict-json.ts';

/** Why a JSON value has not the shape that was asked for. The message begins with the path and repeats no input. */
export class ShapeError extends Error {
  override readonly name = 'ShapeError';
  /** For example `agent.measurement.tools.tools["search"]`. */
  readonly path: string;

  constructor(path: string, problem: string) {
    super(`${path}: ${problem}`);
    this.path = path;
  }
}

export interface MemberRules {
  readonly required: readonly string[];
  readonly optional?: readonly string[];
  /** Default `refuse`. `ignore` only where a specification tells readers to, as RFC 7519 section 4 does for claims. */
  readonly unknown?: 'refuse' | 'ignore';
}

/** An object with all required members. @throws ShapeError */
export function objectAt(value: JsonValue | undefined, path: string, rules: MemberRules): JsonObject {
  const object = anyObjectAt(value, path);
  for (const name of rules.required) {
    if (!Object.hasOwn(object, name)) throw new ShapeError(path, `the member "${name}" is missing`);
  }
  if (rules.unknown === 'ignore') return object;
  for (const name of Object.keys(object)) {
    if (!rules.required.includes(name) && !rules.optional?.includes(name)) {
      throw new ShapeError(path, `it has a member that does not belong there (${JSON.stringify(name).slice(0, 40)})`);
    }
  }
  return object;
}

/** An object whose member names are data. @throws ShapeError */
export function anyObjectAt(value: JsonValue | undefined, path: string): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new ShapeError(path, 'not an object');
  return value as JsonObject;
}

/** An array of `min` to `max` members. @throws ShapeError */
export function arrayAt(
  value: JsonValue | undefined,
  path: string,
  { min, max }: { readonly min: number; readonly max: number },
): readonly JsonValue[] {
  if (!Array.isArray(value)) throw new ShapeError(path, 'not an array');
  if (value.length < min || value.length > max) throw new ShapeError(path, `not ${min} to ${max} members`);
  return value;
}

/** A string that matches a pattern, which must be anchored and should bound the length. @throws ShapeError */
export function stringAt(value: JsonValue | undefined, path: string, pattern: RegExp, what: string): string {
  if (typeof value !== 'string' || !pattern.test(value)) throw new ShapeError(path, `not ${what}`);
  return value;
}

/** One of the given strings. @throws ShapeError */
export function choiceAt<Choice extends string>(
  value: JsonValue | undefined,
  path: string,
  choices: readonly Choice[],
): Choice {
  const choice = choices.find((known) => known === value);
  if (choice === undefined) throw new ShapeError(path, `not ${choices.join(', ')}`);
  return choice;
}

/** An integer from `min` (default 0) to `max` (default 2^53 - 1). @throws ShapeError */
export function integerAt(
  value: JsonValue | undefined,
  path: string,
  { min = 0, max = Number.MAX_SAFE_INTEGER }: { readonly min?: number; readonly max?: number } = {},
): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < min || value > max) {
    throw new ShapeError(path, `not an integer from ${min} to ${max}`);
  }
  return value;
}

/** `true` or `false`; what is missing is `false`. @throws ShapeError */
export function flagAt(value: JsonValue | undefined, path: string): boolean {
  if (value === undefined || typeof value === 'boolean') return value ?? false;
  throw new ShapeError(path, 'not true or false');
}
