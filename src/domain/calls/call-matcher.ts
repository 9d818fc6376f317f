import { formatCallPattern, type CallPattern } from './call-pattern.ts';
import { compilePathGlob, hasWildcard, splitPath, type PathGlob } from './path-glob.ts';

/** One pattern, and whose it is. */
export interface OwnedPattern {
  /** The grant's id. */
  readonly owner: string;
  readonly pattern: CallPattern;
}

/** The pattern that covers a call. */
export interface CallMatch {
  readonly owner: string;
  /** The pattern as written. */
  readonly label: string;
}

interface Entry extends CallMatch {
  readonly methods: ReadonlySet<string> | undefined;
}

/**
 * Finds the pattern that covers a call: one without wildcards before one with, then the first in order. No patterns
 * cover nothing. Methods and paths are compared case-sensitively (RFC 9110, sections 9.1 and 4.2.3).
 */
export class CallMatcher {
  readonly #exact = new Map<string, Entry[]>();
  readonly #globs: (Entry & { readonly glob: PathGlob })[] = [];

  constructor(patterns: readonly OwnedPattern[]) {
    for (const { owner, pattern } of patterns) {
      const { methods, path } = pattern;
      const entry = { owner, label: formatCallPattern(pattern), methods: methods && new Set(methods) };
      if (hasWildcard(path)) this.#globs.push({ ...entry, glob: compilePathGlob(path) });
      else this.#exact.set(path, [...(this.#exact.get(path) ?? []), entry]);
    }
  }

  /** The path is a `masked` one of `readCallPath`. */
  find({ method, path }: { readonly method: string; readonly path: string }): CallMatch | undefined {
    const exact = this.#exact.get(path)?.find((entry) => coversMethod(entry, method));
    if (exact !== undefined || this.#globs.length === 0) return exact;
    const segments = splitPath(path);
    return this.#globs.find((entry) => coversMethod(entry, method) && entry.glob.matches(segments));
  }
}

function coversMethod({ methods }: Entry, method: string): boolean {
  return methods === undefined || methods.has(method);
}
