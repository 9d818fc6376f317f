import type { JsonObject, JsonValue } from '../../domain/canonical/strict-json.ts';
import { anyObjectAt, arrayAt, flagAt, integerAt, ShapeError } from '../../domain/json-shape.ts';
import type { ServedModel } from '../config.ts';
import type { OfferedFunction, PromptMessage, ToolChoice } from '../model/prompt.ts';
import { ApiError, invalidRequest } from './api-error.ts';

const MAX_MESSAGES = 100_000;
const MAX_TOOLS = 1024;
const MAX_PARTS = 10_000;
const MAX_TOKENS = 1_000_000;
const FUNCTION_NAME = /^[A-Za-z0-9_-]{1,64}$/;

/** Runs a reader of a request; a value of another shape is the caller's fault. @throws ApiError */
export function reading<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof ShapeError)) throw error;
    throw invalidRequest(error.path, error.message.slice(error.path.length + 2));
  }
}

/** @throws ApiError */
export function modelOf(body: JsonObject, models: readonly ServedModel[]): ServedModel {
  const model = models.find(({ id }) => id === body['model']);
  if (model !== undefined) return model;
  if (typeof body['model'] !== 'string') throw invalidRequest('model', 'is missing or not a string', 'missing_model');
  throw new ApiError({
    status: 404,
    message: 'this service does not have the model; GET /v1/models tells which ones it has',
    type: 'invalid_request_error',
    param: 'model',
    code: 'model_not_found',
  });
}

/** What this service cannot do is refused where it is asked for; what only colours a real model's answer is ignored. */
export function refuseUnless(body: JsonObject, name: string, allowed: readonly JsonValue[]): void {
  const value = body[name];
  if (value === undefined || value === null || allowed.includes(value)) return;
  throw invalidRequest(name, 'this service does not support the value', 'unsupported_value');
}

/** The text of a message: a string, or parts of the given types. @throws ShapeError */
export function textAt(value: JsonValue | undefined, path: string, partTypes: readonly string[]): string {
  if (typeof value === 'string') return value;
  return arrayAt(value, path, { min: 1, max: MAX_PARTS })
    .map((part, index) => {
      const at = `${path}[${index}]`;
      const { type, text } = anyObjectAt(part, at);
      if (typeof type !== 'string' || !partTypes.includes(type)) throw new ShapeError(`${at}.type`, 'not text');
      if (typeof text !== 'string') throw new ShapeError(`${at}.text`, 'not a string');
      return text;
    })
    .join('');
}

/** @throws ShapeError */
export function messagesAt(
  value: JsonValue | undefined,
  path: string,
  read: (message: JsonObject, at: string) => PromptMessage,
): PromptMessage[] {
  return arrayAt(value, path, { min: 1, max: MAX_MESSAGES }).map((message, index) => {
    const at = `${path}[${index}]`;
    return read(anyObjectAt(message, at), at);
  });
}

/** @param definitionIn where a tool has its name and parameters. @throws ShapeError */
export function toolsAt(
  value: JsonValue | undefined,
  definitionIn: (tool: JsonObject, at: string) => { readonly definition: JsonObject; readonly at: string },
): OfferedFunction[] {
  if (value === undefined || value === null) return [];
  return arrayAt(value, 'tools', { min: 0, max: MAX_TOOLS }).map((entry, index) => {
    const tool = anyObjectAt(entry, `tools[${index}]`);
    if (tool['type'] !== 'function') throw new ShapeError(`tools[${index}].type`, 'not function');
    const { definition, at } = definitionIn(tool, `tools[${index}]`);
    const { name, parameters } = definition;
    if (typeof name !== 'string' || !FUNCTION_NAME.test(name)) throw new ShapeError(`${at}.name`, 'not a name');
    return { name, parameters: parameters === undefined ? {} : anyObjectAt(parameters, `${at}.parameters`) };
  });
}

/** @param nameIn where an object names the function that must be called. @throws ShapeError */
export function toolChoiceAt(
  value: JsonValue | undefined,
  tools: readonly OfferedFunction[],
  nameIn: (choice: JsonObject) => JsonValue | undefined,
): ToolChoice {
  if (value === undefined || value === null) return 'auto';
  if (value === 'auto' || value === 'none' || value === 'required') return value;
  const name = nameIn(anyObjectAt(value, 'tool_choice'));
  if (typeof name !== 'string' || !tools.some((tool) => tool.name === name)) {
    throw new ShapeError('tool_choice', 'not auto, none, required or one of the tools');
  }
  return { named: name };
}

/** @throws ShapeError */
export function maxTokensAt(body: JsonObject, ...names: readonly string[]): number | undefined {
  const name = names.find((each) => body[each] !== undefined && body[each] !== null);
  return name === undefined ? undefined : integerAt(body[name], name, { min: 1, max: MAX_TOKENS });
}

/** @throws ShapeError */
export function optionalFlagAt(body: JsonObject, name: string): boolean {
  return flagAt(body[name] ?? undefined, name);
}
