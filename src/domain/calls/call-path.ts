/** The path of a call, as far as it can only be read in one way. */
export type PathReading =
  | {
      readonly clear: true;
      /** As it came, without the query; printable ASCII. */
      readonly path: string;
      /**
       * What patterns are compared with: each escape is one {@link ESCAPED}. A literal so never equals an escape, nor a
       * part of one, and what a wildcard stands for it stands for whether the callee decodes it or not.
       */
      readonly masked: string;
    }
  | { readonly clear: false; readonly why: string };

/** Occurs in no pattern. */
const ESCAPED = '\0';

/** Everything that {@link nameAmbiguity} names, and escapes that may be harmless. Linear, and no input is part of it. */
const SUSPECT = /[^\x21-\x7e]|[\\;%]|\/\/|\/\.{1,2}(?:\/|$)/;
const NOT_PRINTABLE = /[^\x21-\x7e]/;
/** Octets that no escape may stand for: what needs none (RFC 3986, section 2.3), what separates, and what hides. */
const NEVER_ESCAPED = /[A-Za-z0-9\-._~/\\;?#%\p{Cc}]/u;
const ESCAPE = /%[0-9A-Fa-f]{2}/g;
const ESCAPES = /(?:%[0-9A-Fa-f]{2})+/g;
/** Readers of URLs cut blanks at the end, some file systems at the end of each name. */
const BLANK_AT_END = /%20(?:\/|$)/;
const STRAY_PERCENT = /%(?![0-9A-Fa-f]{2})/;

/**
 * Cuts the query off a `:path`, and refuses what a callee could read as another path than we do: callees merge slashes,
 * resolve dots, decode once or twice, or cut at a semicolon. Fails closed: what is not known to be harmless is ambiguous.
 * Never throws.
 */
export function readCallPath(target: string): PathReading {
  if (target.includes('#')) return ambiguous('a # in it, which never travels');
  const query = target.indexOf('?');
  const path = query === -1 ? target : target.slice(0, query);
  if (query !== -1 && NOT_PRINTABLE.test(target))
    return ambiguous('a character in its query that is not printable ASCII');
  if (!path.startsWith('/')) return ambiguous('no / at its beginning');
  if (!SUSPECT.test(path)) return { clear: true, path, masked: path };
  const why = nameAmbiguity(path);
  if (why !== undefined) return ambiguous(why);
  return { clear: true, path, masked: path.replaceAll(ESCAPE, ESCAPED) };
}

function nameAmbiguity(path: string): string | undefined {
  if (NOT_PRINTABLE.test(path)) return 'a character that is not printable ASCII';
  if (path.includes('\\')) return String.raw`a \ in it`;
  if (path.includes(';')) return 'a ; in it';
  if (path.includes('//')) return '// in it';
  if (/\/\.{1,2}(?:\/|$)/.test(path)) return 'a segment . or ..';
  if (STRAY_PERCENT.test(path)) return 'a % that is no escape';
  if (BLANK_AT_END.test(path)) return 'an escaped blank at the end of a segment, which some cut off';
  for (const [escapes] of path.matchAll(ESCAPES)) {
    const decoded = decodeUtf8(escapes);
    if (decoded === undefined) return 'an escape that is not UTF-8';
    if (NEVER_ESCAPED.test(decoded)) return 'an escape of something that must not be escaped, or separates';
  }
  return undefined;
}

/** `undefined` where it is none: an overlong form of a slash is one to a lenient callee. */
function decodeUtf8(escapes: string): string | undefined {
  try {
    return decodeURIComponent(escapes);
  } catch {
    return undefined;
  }
}

function ambiguous(why: string): PathReading {
  return { clear: false, why };
}
