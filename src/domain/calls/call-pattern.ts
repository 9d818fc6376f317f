import { checkPatternPath } from './path-glob.ts';

/** Calls that a grant permits. */
export interface CallPattern {
  /** HTTP methods, upper case, each once; never empty. `undefined`: any. gRPC calls are POST. */
  readonly methods?: readonly string[];
  /** A glob over the path without its query; see `path-glob.ts`. A gRPC method's path is `/package.Service/Method`. */
  readonly path: string;
}

/** More in one grant are a sign that it wants to be a wildcard. */
export const MAX_CALL_PATTERNS = 100;
const MAX_METHODS = 16;
const METHOD = /^[A-Z](?:[A-Z-]{0,30}[A-Z])?$/;

export type PatternReading =
  { readonly ok: true; readonly pattern: CallPattern } | { readonly ok: false; readonly problem: string };

/**
 * Reads a pattern as people write it: `/search.v1.Search/*`, `POST /search.v1.Search/Find` or `GET,HEAD /docs/**`. The
 * problem follows the name of a field in a sentence.
 */
export function readCallPattern(text: string): PatternReading {
  const parts = text.split(' ');
  const [first = '', second] = parts;
  if (parts.length > 2) return refused('is not a path, or methods, one space and a path');
  const pattern = second === undefined ? { path: first } : { methods: first.split(','), path: second };
  const problem = checkCallPattern(pattern);
  return problem === undefined ? { ok: true, pattern } : refused(problem);
}

/** What is wrong with a pattern, to follow the name of the field; `undefined`: nothing. */
export function checkCallPattern({ methods, path }: CallPattern): string | undefined {
  if (methods !== undefined) {
    if (methods.length === 0) return 'has an empty list of methods, and so permits nothing';
    if (methods.length > MAX_METHODS) return `has more than ${MAX_METHODS} methods`;
    if (!methods.every((method) => METHOD.test(method))) return 'has a method that is not one of HTTP, in upper case';
    if (new Set(methods).size !== methods.length) return 'names a method twice';
    if (methods.includes('CONNECT')) return 'names CONNECT, which no sidecar passes on';
  }
  return checkPatternPath(path);
}

/** Whether all of `wanted` stand in `listed`, as written; `undefined` is every call. Globs inside globs are not seen. */
export function listsAll(
  listed: readonly CallPattern[] | undefined,
  wanted: readonly CallPattern[] | undefined,
): boolean {
  if (listed === undefined) return true;
  const texts = new Set(listed.map(formatCallPattern));
  return wanted !== undefined && wanted.every((pattern) => texts.has(formatCallPattern(pattern)));
}

/** What stands in either list, each once, in order. */
export function joinCalls(one: readonly CallPattern[], other: readonly CallPattern[]): readonly CallPattern[] {
  return [...one, ...other.filter((pattern) => !listsAll(one, [pattern]))];
}

/** What stands in both, as written; where one is `undefined`, every call, it is the other. */
export function sharedCalls(
  one: readonly CallPattern[] | undefined,
  other: readonly CallPattern[],
): readonly CallPattern[] {
  return other.filter((pattern) => listsAll(one, [pattern]));
}

/** The form that {@link readCallPattern} reads. */
export function formatCallPattern({ methods, path }: CallPattern): string {
  return methods === undefined ? path : `${methods.join(',')} ${path}`;
}

function refused(problem: string): PatternReading {
  return { ok: false, problem };
}
