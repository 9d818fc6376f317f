/** Where an observed text first departs from the approved one. For people to read; it never excuses a difference. */
export interface TextDifference {
  /** Bytes of UTF-8 before the first differing character of the observed text; its whole length if it merely ends. */
  readonly byteOffset: number;
  /** Line of that character, from 1; a line ends at LF. */
  readonly line: number;
  /** Column of that character, from 1, in Unicode code points. */
  readonly column: number;
  /** Whether the texts are equal once every Unicode White_Space character is removed from both. */
  readonly whitespaceOnly: boolean;
}

/**
 * Finds the first difference between two canonical texts (see `canonicalizeText`), or nothing when they are equal.
 *
 * Runs in linear time and keeps no copy: prompts may be large, and the observed one is hostile.
 */
export function firstDifference(approved: string, observed: string): TextDifference | undefined {
  if (approved === observed) return undefined;
  const at = firstDifferingCharacter(approved, observed);
  return { ...positionIn(observed, at), whitespaceOnly: isEqualWithoutWhitespace(approved, observed, at) };
}

function firstDifferingCharacter(approved: string, observed: string): number {
  const shorter = Math.min(approved.length, observed.length);
  let at = 0;
  while (at < shorter && approved.charCodeAt(at) === observed.charCodeAt(at)) at++;
  // Two characters beyond U+FFFF may share their first half; the character differs, not its second half.
  const afterHighSurrogate = at > 0 && (observed.charCodeAt(at - 1) & 0xfc00) === 0xd800;
  return afterHighSurrogate ? at - 1 : at;
}

function positionIn(text: string, end: number): { byteOffset: number; line: number; column: number } {
  let byteOffset = 0;
  let line = 1;
  let column = 1;
  for (let at = 0; at < end; at++) {
    const unit = text.charCodeAt(at);
    const isSurrogate = (unit & 0xf800) === 0xd800;
    const isLowSurrogate = (unit & 0xfc00) === 0xdc00;
    // A surrogate pair is four bytes of UTF-8: two for each half.
    byteOffset += unit < 0x80 ? 1 : unit < 0x800 || isSurrogate ? 2 : 3;
    if (unit === 0x0a) {
      line++;
      column = 1;
    } else if (!isLowSurrogate) {
      column++;
    }
  }
  return { byteOffset, line, column };
}

/** Up to `from` the texts are equal, hence also without their whitespace. */
function isEqualWithoutWhitespace(left: string, right: string, from: number): boolean {
  let leftAt = from;
  let rightAt = from;
  for (;;) {
    while (isWhiteSpace(left.charCodeAt(leftAt))) leftAt++;
    while (isWhiteSpace(right.charCodeAt(rightAt))) rightAt++;
    if (leftAt >= left.length || rightAt >= right.length) return leftAt >= left.length && rightAt >= right.length;
    if (left.charCodeAt(leftAt++) !== right.charCodeAt(rightAt++)) return false;
  }
}

/**
 * The 25 characters with the Unicode property White_Space (PropList.txt), all of them below U+10000.
 *
 * Spelt out because `\s` is another set: it has U+FEFF and lacks U+0085. What is merely invisible is not whitespace
 * and can carry a hidden instruction: U+200B to U+200D, U+2060, U+FEFF, U+180E, U+2800, U+3164.
 */
function isWhiteSpace(unit: number): boolean {
  return (
    (unit >= 0x09 && unit <= 0x0d) ||
    unit === 0x20 ||
    unit === 0x85 ||
    unit === 0xa0 ||
    unit === 0x1680 ||
    (unit >= 0x2000 && unit <= 0x200a) ||
    unit === 0x2028 ||
    unit === 0x2029 ||
    unit === 0x202f ||
    unit === 0x205f ||
    unit === 0x3000
  );
}
