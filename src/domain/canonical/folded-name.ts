import type { JsonObject, JsonValue } from './strict-json.ts';

/**
 * A member's name as the most forgiving reader takes it. Go's `encoding/json` takes every spelling of upper and lower
 * case, and with it U+017F for s and U+212A for k; protobuf's JSON takes `a_name` for `aName`. To be used where what is
 * missed does harm, never to read what one needs.
 */
export function foldedName(name: string): string {
  return name.toUpperCase().toLowerCase().replaceAll('_', '');
}

/** Every member that some reader takes for the one of this name, which is spelled as {@link foldedName} has it. */
export function membersLike(object: JsonObject, folded: string): readonly (readonly [string, JsonValue])[] {
  return Object.entries(object).filter(([name]) => foldedName(name) === folded);
}
