import type { JsonObject, JsonValue } from '../canonical/strict-json.ts';
import { anyObjectAt, arrayAt, choiceAt, integerAt, objectAt, ShapeError, stringAt } from '../json-shape.ts';

/**
 * What may stand in one place of a template. Each kind is a closed or bounded set of short texts on one line: a slot
 * carries a fact, never an instruction.
 */
export type Slot =
  /** One of the given texts, exactly. */
  | { readonly type: 'enum'; readonly values: readonly string[] }
  /** A decimal integer in its only spelling: ASCII digits, no leading zero, no plus, no `-0`. */
  | { readonly type: 'integer'; readonly min: number; readonly max: number }
  /** A calendar date that exists, as ISO 8601 writes it: `2026-02-28`. */
  | { readonly type: 'date' }
  /** 1 to `maxLength` of `A-Z a-z 0-9 _ -`. */
  | { readonly type: 'id'; readonly maxLength: number };

/** Slots by name. */
export type Slots = ReadonlyMap<string, Slot>;

export const SLOT_TYPES = ['enum', 'integer', 'date', 'id'] as const satisfies readonly Slot['type'][];
export const SLOT_NAME = /^[A-Za-z_][A-Za-z0-9_]{0,63}$/;
/** Values of an enum: approved like the text itself, but on one line, and visible. */
export const ENUM_VALUE = /^[^\p{C}\p{Zl}\p{Zp}]{1,256}$/u;
/** How many slots a template, and values an enum, may have. */
export const MAX_SLOTS = 64;
export const MAX_ENUM_VALUES = 64;
export const MAX_ID_LENGTH = 128;
/** An id's greatest length where none is declared. */
export const DEFAULT_ID_LENGTH = 64;

/**
 * Reads declarations from strictly parsed JSON, as they stand in a configuration. Fails closed on an unknown type or
 * member.
 *
 * @throws {ShapeError}
 */
export function parseSlots(json: JsonValue | undefined, path = 'slots'): Slots {
  const entries = Object.entries(anyObjectAt(json, path));
  if (entries.length === 0 || entries.length > MAX_SLOTS) throw new ShapeError(path, `not 1 to ${MAX_SLOTS} slots`);
  return new Map(
    entries.map(([name, slot]) => {
      if (!SLOT_NAME.test(name)) throw new ShapeError(path, 'a name is not 1 to 64 letters, digits and underscores');
      return [name, parseSlot(slot, `${path}.${name}`)];
    }),
  );
}

function parseSlot(json: JsonValue, path: string): Slot {
  const type = choiceAt(anyObjectAt(json, path)['type'], `${path}.type`, SLOT_TYPES);
  switch (type) {
    case 'enum': {
      const { values } = objectAt(json, path, { required: ['type', 'values'] });
      const texts = arrayAt(values, `${path}.values`, { min: 1, max: MAX_ENUM_VALUES }).map((value, index) =>
        stringAt(value, `${path}.values[${index}]`, ENUM_VALUE, '1 to 256 printable characters on one line'),
      );
      if (new Set(texts).size < texts.length) throw new ShapeError(`${path}.values`, 'a value is there twice');
      return { type, values: texts.toSorted() };
    }
    case 'integer': {
      const object = objectAt(json, path, { required: ['type', 'min', 'max'] });
      const min = integerAt(object['min'], `${path}.min`, { min: Number.MIN_SAFE_INTEGER });
      return { type, min, max: integerAt(object['max'], `${path}.max`, { min }) };
    }
    case 'date':
      objectAt(json, path, { required: ['type'] });
      return { type };
    case 'id': {
      const { max_length: maxLength = DEFAULT_ID_LENGTH } = objectAt(json, path, {
        required: ['type'],
        optional: ['max_length'],
      });
      return { type, maxLength: integerAt(maxLength, `${path}.max_length`, { min: 1, max: MAX_ID_LENGTH }) };
    }
  }
}

/** The one spelling of declarations that is hashed: defaults written out, values of an enum sorted. */
export function slotsToJson(slots: Slots): JsonObject {
  const written = Object.create(null) as Record<string, JsonValue>;
  for (const [name, slot] of slots) written[name] = slotToJson(slot);
  return written;
}

function slotToJson(slot: Slot): JsonObject {
  switch (slot.type) {
    case 'enum':
      return { type: slot.type, values: slot.values.toSorted() };
    case 'integer':
      return { type: slot.type, min: slot.min, max: slot.max };
    case 'date':
      return { type: slot.type };
    case 'id':
      return { type: slot.type, max_length: slot.maxLength };
  }
}

/** Longest spelling of a safe integer. */
const MAX_INTEGER_LENGTH = 17;
const DATE_LENGTH = 10;
const INTEGER = /^(?:0|-?[1-9][0-9]{0,15})$/;
const DATE = /^([0-9]{4})-([0-9]{2})-([0-9]{2})$/;
const DAYS_IN_MONTH = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] as const;

/**
 * Where the value that begins at `start` must end, if it is one: there is never a second possibility. An enum is not
 * asked: where its value ends depends on what follows.
 *
 * @returns an index, or `undefined` when no value begins there.
 */
export function endOfValue(slot: Exclude<Slot, { type: 'enum' }>, text: string, start: number): number | undefined {
  switch (slot.type) {
    case 'date': {
      const end = start + DATE_LENGTH;
      return isRealDate(text.slice(start, end)) ? end : undefined;
    }
    case 'integer': {
      const end = endOfRun(text, text.charAt(start) === '-' ? start + 1 : start, start + MAX_INTEGER_LENGTH, isDigit);
      const digits = text.slice(start, end);
      const value = Number(digits);
      return INTEGER.test(digits) && value >= slot.min && value <= slot.max ? end : undefined;
    }
    case 'id': {
      const end = endOfRun(text, start, start + slot.maxLength, isIdUnit);
      return end > start ? end : undefined;
    }
  }
}

/** Whether a value of the slot could go on with the character: then what follows the slot must not begin with it. */
export function couldContinue(slot: Exclude<Slot, { type: 'enum' }>, unit: number): boolean {
  switch (slot.type) {
    case 'date':
      return false;
    case 'integer':
      return isDigit(unit);
    case 'id':
      return isIdUnit(unit);
  }
}

/** Stops at `limit`: what is too long is then refused by what must follow. */
function endOfRun(text: string, from: number, limit: number, belongs: (unit: number) => boolean): number {
  let at = from;
  while (at < limit && belongs(text.charCodeAt(at))) at++;
  return at;
}

function isRealDate(text: string): boolean {
  const [, year, month, day] = DATE.exec(text) ?? [];
  const [y, m, d] = [Number(year), Number(month), Number(day)];
  const leap = m === 2 && y % 4 === 0 && (y % 100 !== 0 || y % 400 === 0);
  const days = (DAYS_IN_MONTH[m - 1] ?? 0) + (leap ? 1 : 0);
  return y >= 1 && d >= 1 && d <= days;
}

/** ASCII only: other scripts have digits, too. NaN, past the end of the text, is none. */
function isDigit(unit: number): boolean {
  return unit >= 0x30 && unit <= 0x39;
}

function isIdUnit(unit: number): boolean {
  return (
    isDigit(unit) || (unit >= 0x41 && unit <= 0x5a) || (unit >= 0x61 && unit <= 0x7a) || unit === 0x5f || unit === 0x2d
  );
}
