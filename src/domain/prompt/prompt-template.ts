import { AIT_TEMPLATE_1, digestJson, sha256Digest } from '../canonical/digest.ts';
import type { PromptDigest } from '../measurement.ts';
import { couldContinue, endOfValue, slotsToJson, type Slot, type Slots } from './slot.ts';

export type TemplateErrorCode = 'bad_marker' | 'undeclared_slot' | 'unused_slot' | 'adjacent_slots' | 'ambiguous_slot';

/** Why a text and its slots are no template. The message names the slot and repeats nothing of the text. */
export class TemplateError extends Error {
  override readonly name = 'TemplateError';
  readonly code: TemplateErrorCode;

  constructor(code: TemplateErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** A prompt with places that are filled anew for each call. Only {@link createTemplate} makes one. */
export interface PromptTemplate {
  /** Canonical (`ait-text-1`), with its slots as `{{name}}`. */
  readonly text: string;
  readonly slots: Slots;
  /** The text before the first slot. */
  readonly head: string;
  /** Each slot in the order of the text, with what follows up to the next slot or to the end. */
  readonly places: readonly Place[];
}

interface Place {
  readonly name: string;
  readonly slot: Slot;
  readonly tail: string;
}

export type TemplateMatch =
  | { readonly matches: true }
  /** `at`: the first character that cannot be right, as a UTF-16 index of the observed text; its length if it ends. */
  | { readonly matches: false; readonly at: number };

const OPEN = '{{';
const CLOSE = '}}';
/** Never in a canonical text: stands for the end in what follows the last slot. */
const END = '\0';
/** Two values of an enum differ in length by less than this. */
const LOOKAHEAD = 256;

/**
 * Puts together a text and the declarations of its slots. `{{` always begins a slot: no text says it otherwise.
 *
 * A declaration must leave one reading only, so that matching never has to go back: between two slots there is text,
 * what follows an integer or an id does not begin like more of it, and no value of an enum with what follows it begins
 * like another. A slot that stands there twice has one value.
 *
 * @param text canonical (`ait-text-1`).
 * @throws {TemplateError}
 */
export function createTemplate(text: string, slots: Slots): PromptTemplate {
  const [head = '', ...rest] = text.split(OPEN);
  const places = rest.map((part): Place => {
    const end = part.indexOf(CLOSE);
    const name = part.slice(0, Math.max(end, 0));
    const slot = slots.get(name);
    if (end < 0 || !/^[A-Za-z0-9_]{1,64}$/.test(name)) {
      throw new TemplateError('bad_marker', 'a "{{" is not followed by the name of a slot and "}}"');
    }
    if (slot === undefined) throw new TemplateError('undeclared_slot', `the slot {{${name}}} is not declared`);
    return { name, slot, tail: part.slice(end + CLOSE.length) };
  });
  for (const name of slots.keys()) {
    if (!places.some((place) => place.name === name)) {
      throw new TemplateError('unused_slot', `the declared slot ${name} does not stand in the text`);
    }
  }
  for (const [index, { name, slot, tail }] of places.entries()) {
    const last = index === places.length - 1;
    if (tail === '' && !last) {
      throw new TemplateError('adjacent_slots', `nothing stands between {{${name}}} and the next slot`);
    }
    if (isAmbiguous(slot, last ? tail + END : tail)) {
      throw new TemplateError('ambiguous_slot', `what follows {{${name}}} could be a part of its value`);
    }
  }
  return { text, slots, head, places };
}

function isAmbiguous(slot: Slot, tail: string): boolean {
  if (slot.type !== 'enum') return couldContinue(slot, tail.charCodeAt(0));
  return slot.values.some((short) =>
    slot.values.some((long) => {
      if (short === long || !long.startsWith(short)) return false;
      const more = long.slice(short.length);
      return tail.startsWith(more) || more.startsWith(tail);
    }),
  );
}

/** The digest of a template under `ait-template-1`. */
export function digestTemplate({ text, slots }: PromptTemplate): PromptDigest {
  const written = { text: sha256Digest(text).slice('sha256:'.length), slots: slotsToJson(slots) };
  return { hash: digestJson(written), canonicalization: AIT_TEMPLATE_1 };
}

/**
 * Whether a canonical text is the template, from its first character to its last, with a value in each slot. Takes time
 * linear in the text, whatever the text is.
 */
export function matchTemplate(template: PromptTemplate, text: string): TemplateMatch {
  let at = afterLiteral(template.head, text, 0);
  const values = new Map<string, string>();
  for (const [index, place] of template.places.entries()) {
    if (at.end === undefined) return { matches: false, at: at.differs };
    const start = at.end;
    const end = endOfPlace(place, text, { start, last: index === template.places.length - 1 });
    const value = text.slice(start, end ?? start);
    if (end === undefined || (values.get(place.name) ?? value) !== value) return { matches: false, at: start };
    values.set(place.name, value);
    at = afterLiteral(place.tail, text, end);
  }
  if (at.end === undefined) return { matches: false, at: at.differs };
  return at.end === text.length ? { matches: true } : { matches: false, at: at.end };
}

/** Where a literal that must stand at `start` ends; or else where the text departs from it. */
function afterLiteral(
  literal: string,
  text: string,
  start: number,
): { readonly end: number } | { readonly end: undefined; readonly differs: number } {
  if (text.startsWith(literal, start)) return { end: start + literal.length };
  let length = 0;
  while (start + length < text.length && literal.charCodeAt(length) === text.charCodeAt(start + length)) length++;
  // Two characters beyond U+FFFF may share their first half.
  const half = length > 0 && (text.charCodeAt(start + length - 1) & 0xfc00) === 0xd800;
  return { end: undefined, differs: start + length - (half ? 1 : 0) };
}

function endOfPlace(
  { slot, tail }: Place,
  text: string,
  { start, last }: { readonly start: number; readonly last: boolean },
): number | undefined {
  if (slot.type !== 'enum') return endOfValue(slot, text, start);
  // At most one value fits together with what follows: that is what `isAmbiguous` is for.
  const ahead = tail.slice(0, LOOKAHEAD);
  const wholeTail = last && ahead.length === tail.length;
  return slot.values
    .filter((value) => text.startsWith(value, start))
    .map((value) => start + value.length)
    .find((end) => text.startsWith(ahead, end) && (!wholeTail || end + tail.length === text.length));
}
