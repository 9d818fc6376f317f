import type { JsonObject, JsonValue } from '../../domain/canonical/strict-json.ts';

const MAX_DEPTH = 8;

/**
 * The simplest value that a JSON Schema allows, as far as its `enum`, `const`, `type`, `properties` and `required` say:
 * required members only, texts are the given word, numbers are their minimum or 1.
 */
export function exampleOf(schema: JsonObject, word: string, depth = 0): JsonValue {
  const { const: constant, enum: choices, type } = schema;
  if (constant !== undefined) return constant;
  if (Array.isArray(choices) && choices[0] !== undefined) return choices[0];
  switch (Array.isArray(type) ? type[0] : type) {
    case 'string':
      return word;
    case 'number':
    case 'integer':
      return typeof schema['minimum'] === 'number' ? schema['minimum'] : 1;
    case 'boolean':
      return true;
    case 'null':
      return null;
    case 'array':
      return [];
    default:
      return depth < MAX_DEPTH ? exampleObject(schema, word, depth) : {};
  }
}

function exampleObject({ properties, required }: JsonObject, word: string, depth: number): JsonObject {
  if (!isObject(properties) || !Array.isArray(required)) return {};
  return Object.fromEntries(
    required.flatMap((name: JsonValue) => {
      const member = typeof name === 'string' && Object.hasOwn(properties, name) ? properties[name] : undefined;
      return typeof name === 'string' && isObject(member) ? [[name, exampleOf(member, word, depth + 1)]] : [];
    }),
  );
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
