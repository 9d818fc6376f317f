import {
  AIT_JSON_1,
  AIT_NONE_1,
  AIT_SEQ_1,
  AIT_SET_1,
  AIT_TEMPLATE_1,
  AIT_TEXT_1,
  isDigest,
} from './canonical/digest.ts';
import type { Canonicalization, Digest } from './canonical/digest.ts';
import type { JsonObject, JsonValue } from './canonical/strict-json.ts';
import { anyObjectAt, choiceAt, objectAt, ShapeError, stringAt } from './json-shape.ts';
import { ASSURANCES, DIMENSIONS } from './measurement.ts';
import type {
  Assurance,
  DigestTuple,
  KnowledgeBaseDigest,
  Measurement,
  ModelDigest,
  PromptDigest,
  SystemPromptDigest,
  ToolsDigest,
} from './measurement.ts';
import { MeshError } from './mesh-error.ts';

/** How many named prompts and tools one agent may have, in tokens, proofs and baselines alike. */
export const MAX_PROMPTS = 64;
/**
 * Largest measurement, in bytes of its RFC 8785 form: with the rest of its claims it must fit a token, and a token must
 * fit a control message. Some 300 tools of ordinary names.
 */
export const MAX_MEASUREMENT_BYTES = 32 * 1024;
export const MAX_TOOLS = 512;

/** A record, so that a new rule cannot be forgotten here. */
const KNOWN_RULES = {
  [AIT_TEXT_1]: true,
  [AIT_JSON_1]: true,
  [AIT_SET_1]: true,
  [AIT_SEQ_1]: true,
  [AIT_TEMPLATE_1]: true,
  [AIT_NONE_1]: true,
} as const satisfies Record<Canonicalization, true>;
const CANONICALIZATIONS = Object.keys(KNOWN_RULES) as Canonicalization[];

const NAME = /^[\x20-\x7e]{1,128}$/;
/** No control, format (also bidirectional), unassigned or line-breaking characters: these go to logs and consoles. */
const TEXT = /^[^\p{C}\p{Zl}\p{Zp}]{1,256}$/u;

/** What the readers below add to each dimension: nothing in a tuple, the assurance in a measurement. */
type Extra<T> = { readonly members: readonly string[]; read(object: JsonObject, path: string): T };

const NOTHING: Extra<object> = { members: [], read: () => ({}) };
const ASSURANCE: Extra<{ readonly assurance: Assurance }> = {
  members: ['assurance'],
  read: (object, path) => ({ assurance: choiceAt(object['assurance'], `${path}.assurance`, ASSURANCES) }),
};

/**
 * Reads a measurement from strictly parsed JSON, in the shape of the `agent.measurement` claim. Fails closed: all four
 * dimensions are there (`null` where the agent has nothing of the kind, but not four times), nothing else is, digests
 * are whole lowercase SHA-256, and names (≤ 128 printable ASCII), texts (≤ 256 characters), prompts (≤ 64) and tools
 * (≤ 512) are bounded. Maps by name have no prototype.
 *
 * @param path where the value stands, for the message.
 * @throws MeshError `MEASUREMENT_MALFORMED`
 */
export function parseMeasurement(value: JsonValue | undefined, path = 'measurement'): Measurement {
  return parseDimensions(value, path, ASSURANCE);
}

/**
 * As {@link parseMeasurement}, for the digests alone: a member `assurance` is refused.
 *
 * @throws MeshError `MEASUREMENT_MALFORMED`
 */
export function parseDigestTuple(value: JsonValue | undefined, path = 'digests'): DigestTuple {
  return parseDimensions(value, path, NOTHING);
}

/** The shape that {@link parseMeasurement} reads; member order is fixed, absent members are left out. */
export function measurementToJson(measurement: Measurement): JsonObject {
  const tuple = digestTupleToJson(measurement) as Record<string, JsonValue>;
  for (const dimension of DIMENSIONS) {
    const assurance = measurement[dimension]?.assurance;
    if (assurance !== undefined) tuple[dimension] = { ...(tuple[dimension] as JsonObject), assurance };
  }
  return tuple;
}

/** The shape that {@link parseDigestTuple} reads: assurances, if there are any, are left out. */
export function digestTupleToJson(tuple: DigestTuple): JsonObject {
  const { system_prompt: prompt, knowledge_base: knowledge, model, tools } = tuple;
  return {
    system_prompt: prompt && {
      prompts: mapValues(prompt.prompts, ({ hash, canonicalization }) => ({ hash, canonicalization })),
    },
    knowledge_base: knowledge && {
      version: knowledge.version,
      hash: knowledge.hash,
      canonicalization: knowledge.canonicalization,
    },
    model: model && {
      provider: model.provider,
      id: model.id,
      version: model.version,
      ...(model.hash === undefined ? {} : { hash: model.hash }),
    },
    tools: tools && { canonicalization: tools.canonicalization, tools: mapValues(tools.tools, (digest) => digest) },
  };
}

interface Dimensions<T> {
  readonly system_prompt: (SystemPromptDigest & T) | null;
  readonly knowledge_base: (KnowledgeBaseDigest & T) | null;
  readonly model: (ModelDigest & T) | null;
  readonly tools: (ToolsDigest & T) | null;
}

function parseDimensions<T extends object>(value: JsonValue | undefined, path: string, extra: Extra<T>): Dimensions<T> {
  try {
    const object = objectAt(value, path, { required: DIMENSIONS });
    if (DIMENSIONS.every((dimension) => object[dimension] === null)) throw new ShapeError(path, 'it measures nothing');
    return {
      system_prompt: readSystemPrompt(object['system_prompt'], `${path}.system_prompt`, extra),
      knowledge_base: readKnowledgeBase(object['knowledge_base'], `${path}.knowledge_base`, extra),
      model: readModel(object['model'], `${path}.model`, extra),
      tools: readTools(object['tools'], `${path}.tools`, extra),
    };
  } catch (cause) {
    if (cause instanceof ShapeError) throw new MeshError('MEASUREMENT_MALFORMED', cause.message, { cause });
    throw cause;
  }
}

function readSystemPrompt<T>(value: JsonValue | undefined, path: string, extra: Extra<T>) {
  if (value === null) return null;
  const object = objectAt(value, path, { required: ['prompts', ...extra.members] });
  const prompts = readMap(object['prompts'], `${path}.prompts`, MAX_PROMPTS, readPrompt);
  return { prompts, ...extra.read(object, path) };
}

function readPrompt(value: JsonValue, path: string): PromptDigest {
  const object = objectAt(value, path, { required: ['hash', 'canonicalization'] });
  return { hash: readDigest(object['hash'], `${path}.hash`), canonicalization: readRule(object, path) };
}

function readKnowledgeBase<T>(value: JsonValue | undefined, path: string, extra: Extra<T>) {
  if (value === null) return null;
  const object = objectAt(value, path, { required: ['version', 'hash', 'canonicalization', ...extra.members] });
  return {
    version: readText(object['version'], `${path}.version`),
    hash: readDigest(object['hash'], `${path}.hash`),
    canonicalization: readRule(object, path),
    ...extra.read(object, path),
  };
}

function readModel<T>(value: JsonValue | undefined, path: string, extra: Extra<T>) {
  if (value === null) return null;
  const object = objectAt(value, path, {
    required: ['provider', 'id', 'version', ...extra.members],
    optional: ['hash'],
  });
  return {
    provider: readText(object['provider'], `${path}.provider`),
    id: readText(object['id'], `${path}.id`),
    version: readText(object['version'], `${path}.version`),
    ...(object['hash'] === undefined ? {} : { hash: readDigest(object['hash'], `${path}.hash`) }),
    ...extra.read(object, path),
  };
}

function readTools<T>(value: JsonValue | undefined, path: string, extra: Extra<T>) {
  if (value === null) return null;
  const object = objectAt(value, path, { required: ['canonicalization', 'tools', ...extra.members] });
  const tools = readMap(object['tools'], `${path}.tools`, MAX_TOOLS, readDigest);
  return { canonicalization: readRule(object, path), tools, ...extra.read(object, path) };
}

function readMap<T>(
  value: JsonValue | undefined,
  path: string,
  max: number,
  read: (value: JsonValue, path: string) => T,
): Readonly<Record<string, T>> {
  const entries = Object.entries(anyObjectAt(value, path));
  if (entries.length === 0 || entries.length > max) throw new ShapeError(path, `not 1 to ${max} members`);
  const map = Object.create(null) as Record<string, T>;
  for (const [name, member] of entries) {
    if (!NAME.test(name)) throw new ShapeError(path, 'a name is not 1 to 128 characters of printable ASCII');
    map[name] = read(member, `${path}[${JSON.stringify(name)}]`);
  }
  return map;
}

function readDigest(value: JsonValue | undefined, path: string): Digest {
  if (!isDigest(value)) throw new ShapeError(path, 'not "sha256:" with 64 lowercase hexadecimal digits');
  return value;
}

function readRule(object: JsonObject, path: string): Canonicalization {
  return choiceAt(object['canonicalization'], `${path}.canonicalization`, CANONICALIZATIONS);
}

function readText(value: JsonValue | undefined, path: string): string {
  return stringAt(value, path, TEXT, '1 to 256 printable characters');
}

/** Keeps a member named `__proto__` a member. */
function mapValues<T>(map: Readonly<Record<string, T>>, write: (value: T) => JsonValue): JsonObject {
  const written = Object.create(null) as Record<string, JsonValue>;
  for (const [name, value] of Object.entries(map)) written[name] = write(value);
  return written;
}
