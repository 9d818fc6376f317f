import { canonicalizeJson } from '../canonical/jcs.ts';
import type { JsonObject, JsonValue } from '../canonical/strict-json.ts';
import {
  arrayIn,
  boundedText,
  choice,
  flag,
  objectIn,
  pattern,
  rebuild,
  stringIn,
  type FieldRule,
  type Found,
} from './field-rules.ts';
import { ModelCallError } from './model-call-error.ts';
import type { ModelEndpoint, OfferedTool } from './model-call.ts';
import { TOOL_NAME } from './tool-definition.ts';

/** Longest description of an output schema, and longest schema in its RFC 8785 form, in UTF-16 code units. */
const MAX_DESCRIPTION = 1024;
const MAX_SCHEMA = 32 * 1024;

const schema: FieldRule = (value, at) => {
  const read = objectIn(value, at);
  if (canonicalizeJson(read).length > MAX_SCHEMA) {
    throw new ModelCallError('too_large', at, `the schema is longer than ${MAX_SCHEMA} characters`);
  }
  return read;
};

const NAMED_SCHEMA = {
  name: pattern(TOOL_NAME, '1 to 64 letters, digits, underscores and dashes'),
  description: boundedText(MAX_DESCRIPTION),
  schema,
  strict: flag,
} as const satisfies Readonly<Record<string, FieldRule>>;

/**
 * The form that the answer shall have. **Not compared with anything approved:** names and descriptions in a schema are
 * read by the model, so an agent can hide an instruction there, as it can in a user message. They are bounded, so that
 * no whole prompt fits beside the approved one unnoticed.
 */
export function outputFormat(endpoint: ModelEndpoint): FieldRule {
  return (value, at, found) => {
    const type = stringIn(objectIn(value, at)['type'], `${at}.type`);
    const kind = choice(['text', 'json_object', 'json_schema']);
    kind(type, `${at}.type`, found);
    if (type !== 'json_schema') return rebuild(value, at, { rules: { fields: { type: kind } }, found });
    if (endpoint === 'responses') {
      const rules = { fields: { type: kind, ...NAMED_SCHEMA }, required: ['name', 'schema'] };
      return rebuild(value, at, { rules, found });
    }
    const inner: FieldRule = (member, where) =>
      rebuild(member, where, { rules: { fields: NAMED_SCHEMA, required: ['name'] }, found });
    return rebuild(value, at, {
      rules: { fields: { type: kind, json_schema: inner }, required: ['json_schema'] },
      found,
    });
  };
}

const MODES = choice(['none', 'auto', 'required']);

/**
 * Which tool the model shall call. It can name offered tools only, so that it says nothing that those do not.
 *
 * @param value as the request has it; its tools have been read.
 * @throws {ModelCallError}
 */
export function readToolChoice(
  value: JsonValue,
  at: string,
  { endpoint, found }: { readonly endpoint: ModelEndpoint; readonly found: Found },
): JsonValue | undefined {
  if (typeof value === 'string') return MODES(value, at, found);
  const type = stringIn(objectIn(value, at)['type'], `${at}.type`);
  if (type === 'function') return namedTool(endpoint)(value, at, found);
  if (type !== 'allowed_tools') {
    throw new ModelCallError('hosted_tool', `${at}.type`, 'expected "function" or "allowed_tools"');
  }
  const fields = {
    mode: choice(['auto', 'required']),
    tools: (member: JsonValue, where: string): JsonValue =>
      arrayIn(member, where, found.tools.length).map((tool, index) => readNamed(tool, `${where}[${index}]`)),
  };
  const kind = choice(['allowed_tools']);
  if (endpoint === 'responses') {
    return rebuild(value, at, { rules: { fields: { type: kind, ...fields }, required: ['mode', 'tools'] }, found });
  }
  const inner: FieldRule = (member, where) =>
    rebuild(member, where, { rules: { fields, required: ['mode', 'tools'] }, found });
  return rebuild(value, at, {
    rules: { fields: { type: kind, allowed_tools: inner }, required: ['allowed_tools'] },
    found,
  });

  function readNamed(tool: JsonValue, where: string): JsonValue {
    return namedTool(endpoint)(tool, where, found) ?? null;
  }
}

function namedTool(endpoint: ModelEndpoint): FieldRule {
  const kind = choice(['function']);
  const name: FieldRule = (value, at, { tools }) => offeredName(value, at, tools);
  if (endpoint === 'responses') {
    return (value, at, found) =>
      rebuild(value, at, { rules: { fields: { type: kind, name }, required: ['type', 'name'] }, found });
  }
  const inner: FieldRule = (value, at, found): JsonObject =>
    rebuild(value, at, { rules: { fields: { name }, required: ['name'] }, found });
  return (value, at, found) =>
    rebuild(value, at, { rules: { fields: { type: kind, function: inner }, required: ['type', 'function'] }, found });
}

function offeredName(value: JsonValue, at: string, tools: readonly OfferedTool[]): string {
  const name = stringIn(value, at);
  if (tools.some((tool) => tool.name === name)) return name;
  throw new ModelCallError('bad_value', at, 'no tool of this call has the name');
}
