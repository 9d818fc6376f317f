import { canonicalizeJson } from '../canonical/jcs.ts';
import type { JsonObject, JsonValue } from '../canonical/strict-json.ts';
import { MAX_TOOLS } from '../measurement-json.ts';
import { arrayIn, boundedText, flag, objectIn, rebuild, stringIn, type FieldRule, type Found } from './field-rules.ts';
import { ModelCallError } from './model-call-error.ts';
import type { ModelEndpoint } from './model-call.ts';

export const TOOL_NAME = /^[A-Za-z0-9_-]{1,64}$/;
/** In UTF-16 code units. Approved definitions are bounded by the size of a manifest; this is for the others. */
const MAX_DESCRIPTION = 64 * 1024;

const toolName: FieldRule = (value, at) => {
  const name = stringIn(value, at);
  if (TOOL_NAME.test(name)) return name;
  throw new ModelCallError('bad_tool', at, 'a tool has a name of 1 to 64 letters, digits, underscores and dashes');
};

/**
 * The outermost level of a JSON Schema for arguments by name. What is further in is compared as a whole with what was
 * approved, so that nothing has to be understood of it.
 */
const parameters: FieldRule = (value, at) => {
  const schema = objectIn(value, at);
  const { type, properties, required } = schema;
  if (type !== 'object')
    throw new ModelCallError('bad_tool', `${at}.type`, 'a tool takes an object: expected "object"');
  if (properties !== undefined) objectIn(properties, `${at}.properties`);
  if (required !== undefined) {
    for (const [index, name] of arrayIn(required, `${at}.required`, 1024).entries()) {
      stringIn(name, `${at}.required[${index}]`);
    }
  }
  return schema;
};

const FUNCTION_FIELDS = {
  name: toolName,
  description: boundedText(MAX_DESCRIPTION),
  parameters,
  strict: flag,
} as const satisfies Readonly<Record<string, FieldRule>>;

const kindOfTool: FieldRule = (value, at) => {
  if (stringIn(value, at) === 'function') return 'function';
  const why = 'only tools of type "function" pass: what the service runs by itself cannot be approved here';
  throw new ModelCallError('hosted_tool', at, why);
};

const functionRules = { fields: FUNCTION_FIELDS, required: ['name'] };
const RULES = {
  chat_completions: {
    fields: {
      type: kindOfTool,
      function: (value, at, found) => rebuild(value, at, { rules: functionRules, found }),
    },
    required: ['type', 'function'],
  },
  responses: { fields: { type: kindOfTool, ...FUNCTION_FIELDS }, required: ['type', 'name'] },
} as const satisfies Record<
  ModelEndpoint,
  { fields: Readonly<Record<string, FieldRule>>; required: readonly string[] }
>;

/**
 * The tools that a call offers. Each is forwarded in the shape of its endpoint, and noted in that of chat completions.
 */
export function toolsRule(endpoint: ModelEndpoint): FieldRule {
  return (value, at, found) =>
    arrayIn(value, at, MAX_TOOLS).map((tool, index) => readTool(tool, { endpoint, at: `${at}[${index}]`, found }));
}

function readTool(
  value: JsonValue,
  { endpoint, at, found }: { readonly endpoint: ModelEndpoint; readonly at: string; readonly found: Found },
): JsonObject {
  // First, so that a hosted tool is called that, and not something with unknown fields.
  kindOfTool(objectIn(value, at)['type'] ?? '', `${at}.type`, found);
  const tool = rebuild(value, at, { rules: RULES[endpoint], found });
  const definition = toFunctionShape(tool);
  const name = definition === undefined ? undefined : nameOf(definition);
  if (definition === undefined || name === undefined) throw new ModelCallError('bad_tool', at, 'it has no name');
  if (found.tools.some((other) => other.name === name)) {
    throw new ModelCallError('duplicate_tool', at, 'another tool of this call has the same name');
  }
  found.tools.push({ name, definition, at });
  return tool;
}

function nameOf(definition: JsonObject): string | undefined {
  const name = (definition['function'] as JsonObject)['name'];
  return typeof name === 'string' ? name : undefined;
}

/**
 * A definition in the shape of chat completions: from that shape itself, from the Responses shape
 * (`{type: "function", name, …}`), or from MCP's (`{name, description, inputSchema}`), of which the rest (titles,
 * annotations, output schemas) never reaches a model.
 *
 * @returns `undefined` when it is none of them.
 */
export function toFunctionShape(definition: JsonObject): JsonObject | undefined {
  const { type, function: inner, name, description, inputSchema } = definition;
  if (type === 'function' && isObject(inner)) return { type, function: inner };
  if (typeof name !== 'string') return undefined;
  if (type === 'function') {
    const { type: _, ...rest } = definition;
    return { type, function: rest };
  }
  if (type !== undefined || !isObject(inputSchema)) return undefined;
  return { type: 'function', function: { name, ...defined('description', description), parameters: inputSchema } };
}

/**
 * Whether two definitions tell a model the same, whatever shapes they are in. An empty description, a member that is
 * `null` and `strict: false` say no more than their absence. Every other difference counts.
 */
export function sameTool(left: JsonObject, right: JsonObject): boolean {
  const [one, other] = [bareFunction(left), bareFunction(right)];
  return one !== undefined && other !== undefined && canonicalizeJson(one) === canonicalizeJson(other);
}

function bareFunction(definition: JsonObject): JsonObject | undefined {
  const inner = toFunctionShape(definition)?.['function'];
  if (!isObject(inner)) return undefined;
  const bare = Object.create(null) as Record<string, JsonValue>;
  for (const [name, value] of Object.entries(inner)) {
    const says = value !== null && !(name === 'strict' && value === false) && !(name === 'description' && value === '');
    if (says) bare[name] = value;
  }
  return bare;
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function defined(name: string, value: JsonValue | undefined): JsonObject {
  return value === undefined ? {} : { [name]: value };
}
