import { AIT_JSON_1, digestJson, type Digest } from '../canonical/digest.ts';
import { foldedName } from '../canonical/folded-name.ts';
import type { JsonObject, JsonValue } from '../canonical/strict-json.ts';
import { anyObjectAt, ShapeError } from '../json-shape.ts';
import { MAX_TOOLS } from '../measurement-json.ts';

/** What {@link ListedTool.digest} was made by. */
export const TOOL_RULE = AIT_JSON_1;

/** A tool as an MCP server lists it. */
export interface ListedTool {
  readonly name: string;
  /** `ait-json-1` of the whole definition, as a tool manifest is measured. */
  readonly digest: Digest;
  readonly definition: JsonObject;
}

/** One answer to `tools/list`. */
export interface ToolPage {
  /** The `id` of the JSON-RPC request that it answers; `undefined`: it has none. */
  readonly id: string | number | undefined;
  readonly tools: readonly ListedTool[];
  /** Where the next page begins; `undefined`: this is the last. */
  readonly nextCursor: string | undefined;
}

const MAX_NAME = 256;
const MAX_CURSOR = 4096;

/**
 * The answers to `tools/list` in a JSON-RPC message, or in a batch of them. They are known by what they are, not by what
 * was asked: an MCP client takes an answer from any stream of its session. Fails closed: what a client could take for a
 * list of tools and is none that can be read spoils the message. Names are looked for as the most forgiving reader does.
 *
 * @throws ShapeError
 */
export function toolPagesIn(message: JsonValue): readonly ToolPage[] {
  const messages = Array.isArray(message) ? (message as readonly JsonValue[]) : [message];
  return messages.flatMap((entry) => {
    if (!isObject(entry)) return [];
    const result = only(entry, 'result', 'message');
    if (!isObject(result)) return [];
    const tools = only(result, 'tools', 'result');
    return tools === undefined ? [] : [readPage(entry, result, tools)];
  });
}

function readPage(message: JsonObject, result: JsonObject, tools: JsonValue): ToolPage {
  if (!Array.isArray(tools)) throw new ShapeError('result.tools', 'not an array');
  if (tools.length > MAX_TOOLS) throw new ShapeError('result.tools', `more than ${MAX_TOOLS} on one page`);
  const names = new Set<string>();
  const listed = (tools as readonly JsonValue[]).map((tool, index) => {
    const at = `result.tools[${index}]`;
    const definition = anyObjectAt(tool, at);
    const name = only(definition, 'name', at);
    if (typeof name !== 'string' || name === '' || name.length > MAX_NAME) {
      throw new ShapeError(`${at}.name`, `not 1 to ${MAX_NAME} characters`);
    }
    if (names.has(name)) throw new ShapeError(`${at}.name`, 'another tool of this page has the same');
    names.add(name);
    return { name, digest: digestJson(definition), definition };
  });
  const nextCursor = only(result, 'nextCursor', 'result');
  if (nextCursor !== undefined && nextCursor !== null && !isCursor(nextCursor)) {
    throw new ShapeError('result.nextCursor', 'not a string of a bounded length');
  }
  const id = message['id'];
  return {
    id: typeof id === 'string' || typeof id === 'number' ? id : undefined,
    tools: listed,
    nextCursor: nextCursor ?? undefined,
  };
}

/**
 * Which page each request for tools in a message asks for: by the `id` of the request its cursor, `undefined` for the
 * first page.
 */
export function toolRequestsIn(message: JsonValue): ReadonlyMap<string | number, string | undefined> {
  const asked = new Map<string | number, string | undefined>();
  for (const entry of Array.isArray(message) ? (message as readonly JsonValue[]) : [message]) {
    if (!isObject(entry) || entry['method'] !== 'tools/list') continue;
    const { id, params } = entry;
    if (typeof id !== 'string' && typeof id !== 'number') continue;
    const cursor = params !== undefined && isObject(params) ? params['cursor'] : undefined;
    if (cursor === undefined || cursor === null) asked.set(id, undefined);
    else if (isCursor(cursor)) asked.set(id, cursor);
  }
  return asked;
}

function isCursor(value: JsonValue): value is string {
  return typeof value === 'string' && value.length <= MAX_CURSOR;
}

/** The member of this name. Another one that some reader takes for it is refused. @throws ShapeError */
function only(object: JsonObject, name: string, path: string): JsonValue | undefined {
  const folded = foldedName(name);
  for (const other of Object.keys(object)) {
    if (other !== name && foldedName(other) === folded) {
      throw new ShapeError(`${path}.${name}`, 'spelled in another way, which not all readers take for another name');
    }
  }
  return Object.hasOwn(object, name) ? object[name] : undefined;
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
