/**
 * Globs over paths, anchored at both ends. `*` is a run of characters inside one segment, `**` as a whole segment is one
 * or more segments; every other character means itself. No wildcard stands for an empty segment, so `/a/*` and `/a/**`
 * cover neither `/a` nor `/a/`, which many callees take for one and the same; only `/**` alone covers `/`.
 *
 * Never a regular expression, and no backtracking: a pattern's pieces are looked for from the left, each once, so the
 * work is at most the length of the path times that of the pattern.
 */
export interface PathGlob {
  /** Whether the path, from its first slash on and without a query, is covered. */
  matches(segments: PathSegments): boolean;
}

/** What stands between the slashes of a path; the leading slash is not there. `/` is one empty segment. */
export type PathSegments = readonly string[];

/** @throws never; a path without a leading slash has no segments, and so nothing covers it. */
export function splitPath(path: string): PathSegments {
  return path.startsWith('/') ? path.slice(1).split('/') : [];
}

export function hasWildcard(path: string): boolean {
  return path.includes('*');
}

type Segment = (text: string) => boolean;
/** Segments that follow each other directly; between two groups stands a `**`. */
type Group = readonly Segment[];

/** Takes a path that {@link checkPatternPath} has nothing against. */
export function compilePathGlob(pattern: string): PathGlob {
  const groups: Segment[][] = [[]];
  for (const segment of splitPath(pattern)) {
    if (segment === '**') groups.push([]);
    else groups.at(-1)?.push(compileSegment(segment));
  }
  const [first = [], ...others] = groups;
  const last = others.pop();
  const coversAll = pattern === '/**';
  return {
    matches(segments) {
      if (segments.length === 0) return false;
      if (coversAll) return true;
      if (!matchesAt(first, segments, 0)) return false;
      if (last === undefined) return segments.length === first.length;
      let from = first.length;
      for (const group of others) {
        const found = find(group, segments, from + 1);
        if (found === undefined) return false;
        from = found + group.length;
      }
      const start = segments.length - last.length;
      // The `**` before the last group has at least one segment, and one that is not empty.
      return start > from && segments[from] !== '' && matchesAt(last, segments, start);
    },
  };
}

/** Where the group first matches at or after a place: the earliest leaves most for those that follow. */
function find(group: Group, segments: PathSegments, from: number): number | undefined {
  for (let at = from; at + group.length <= segments.length; at += 1) {
    if (matchesAt(group, segments, at)) return at;
  }
  return undefined;
}

function matchesAt(group: Group, segments: PathSegments, at: number): boolean {
  return group.every((matches, index) => {
    const segment = segments[at + index];
    return segment !== undefined && matches(segment);
  });
}

function compileSegment(pattern: string): Segment {
  const [prefix = '', ...rest] = pattern.split('*');
  const suffix = rest.pop();
  if (suffix === undefined) return (text) => text === pattern;
  if (prefix === '' && suffix === '' && rest.length === 0) return (text) => text !== '';
  return (text) => {
    if (text.length < prefix.length + suffix.length) return false;
    if (!text.startsWith(prefix) || !text.endsWith(suffix)) return false;
    const end = text.length - suffix.length;
    let from = prefix.length;
    for (const piece of rest) {
      const at = text.indexOf(piece, from);
      if (at === -1 || at + piece.length > end) return false;
      from = at + piece.length;
    }
    return true;
  };
}

const MAX_PATTERN = 256;
/** What a path may have literally (RFC 3986, `pchar`), less what makes it ambiguous: see `call-path.ts`. */
const LITERAL = /^[A-Za-z0-9._~!$&'()*+,=:@/-]*$/;

/** What is wrong with the path of a pattern, to follow the name of the field; `undefined`: nothing. */
export function checkPatternPath(path: string): string | undefined {
  if (!path.startsWith('/')) return 'has a path that does not begin with /';
  if (path.length > MAX_PATTERN) return `has a path of more than ${MAX_PATTERN} characters`;
  if (path.includes('?')) return 'has a ? in its path; a call is matched without its query, and there is no wildcard ?';
  if (!LITERAL.test(path)) {
    return "has a character in its path that no call's path may have: only letters, digits and - . _ ~ ! $ & ' ( ) * + , = : @ /";
  }
  const segments = splitPath(path);
  if (segments.some((segment, index) => segment === '' && index < segments.length - 1)) return 'has // in its path';
  if (segments.some((segment) => segment === '.' || segment === '..')) return 'has a segment . or .. in its path';
  if (segments.some((segment) => segment.includes('**') && segment !== '**')) {
    return 'has ** beside other characters; ** is a whole segment';
  }
  if (segments.some((segment, index) => segment === '**' && segments[index + 1] === '**')) {
    return 'has ** twice in a row in its path';
  }
  return undefined;
}
