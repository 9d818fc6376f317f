import type { JsonObject, JsonValue } from '../canonical/strict-json.ts';
import { arrayAt, objectAt, ShapeError } from '../json-shape.ts';
import { checkCallPattern, MAX_CALL_PATTERNS, type CallPattern } from './call-pattern.ts';

/** The form that {@link readCalls} reads: a list of `{methods?, path}`. */
export function callsToJson(calls: readonly CallPattern[]): readonly JsonObject[] {
  return calls.map(({ methods, path }) => ({ ...(methods !== undefined && { methods: [...methods] }), path }));
}

/** A list of patterns that is not empty: without a pattern no call is permitted, and a list to say so is a mistake. @throws ShapeError */
export function readCalls(json: JsonValue | undefined, path: string): readonly CallPattern[] {
  return arrayAt(json, path, { min: 1, max: MAX_CALL_PATTERNS }).map((each, index) =>
    readPattern(each, `${path}[${index}]`),
  );
}

function readPattern(json: JsonValue, path: string): CallPattern {
  const object = objectAt(json, path, { required: ['path'], optional: ['methods'] });
  const pattern: CallPattern = {
    ...(object['methods'] !== undefined && { methods: stringsAt(object['methods'], `${path}.methods`) }),
    path: textAt(object['path'], `${path}.path`),
  };
  const problem = checkCallPattern(pattern);
  if (problem !== undefined) throw new ShapeError(path, `it ${problem}`);
  return pattern;
}

function stringsAt(json: JsonValue | undefined, path: string): readonly string[] {
  return arrayAt(json, path, { min: 1, max: MAX_CALL_PATTERNS }).map((each, index) =>
    textAt(each, `${path}[${index}]`),
  );
}

function textAt(json: JsonValue | undefined, path: string): string {
  if (typeof json !== 'string') throw new ShapeError(path, 'not a text');
  return json;
}
