import { AIT_JSON_1, type Digest } from '../canonical/digest.ts';
import { canonicalizeJson } from '../canonical/jcs.ts';
import { digestTupleToJson, MAX_MEASUREMENT_BYTES, MAX_PROMPTS, MAX_TOOLS } from '../measurement-json.ts';
import type { DigestTuple, ModelDigest, PromptDigest } from '../measurement.ts';

/** What a call showed, under the names that it has in a measurement. */
export interface SeenInCall {
  /** `undefined`: no prompt was used, and none was measured. */
  readonly prompt: { readonly name: string; readonly digest: PromptDigest } | undefined;
  readonly tools: readonly { readonly name: string; readonly digest: Digest; readonly fits: boolean }[];
  readonly modelId: string;
}

/** Tools of which nothing was measured: one makes it drift, a few tell what is going on, all could burst a token. */
const MAX_UNKNOWN_TOOLS = 4;
/** What assurances and the shape around a tuple may add to its size, in bytes. */
const ROOM = 512;

/**
 * The measurement at rest with everything in its place that was seen instead. It always fits a token: where it would
 * not, tools make room that are not different, and first those that the call did not offer.
 */
export function observedTuple(rest: DigestTuple, { prompt, tools, modelId }: SeenInCall): DigestTuple {
  const known = mapOf(rest.tools?.tools ?? {});
  const unknown = tools.filter(({ name }) => !known.has(name)).slice(0, MAX_UNKNOWN_TOOLS);
  for (const { name, digest } of [...tools.filter((tool) => known.has(tool.name)), ...unknown]) known.set(name, digest);
  const offered = new Set(tools.map(({ name }) => name));
  const different = new Set(tools.filter(({ fits }) => !fits).map(({ name }) => name));
  const spare = [...known.keys()]
    .filter((name) => !different.has(name))
    .sort((a, b) => Number(offered.has(b)) - Number(offered.has(a)));
  for (;;) {
    const tuple: DigestTuple = {
      system_prompt: prompt === undefined ? null : { prompts: withPrompt(rest.system_prompt?.prompts ?? {}, prompt) },
      knowledge_base: rest.knowledge_base,
      model: rest.model === null ? unmeasuredModel(modelId) : { ...rest.model, id: modelId },
      tools: known.size === 0 ? null : { canonicalization: AIT_JSON_1, tools: recordOf(known) },
    };
    const fits = known.size <= MAX_TOOLS && sizeOf(tuple) <= MAX_MEASUREMENT_BYTES - ROOM;
    const name = fits ? undefined : spare.pop();
    if (name === undefined) return tuple;
    known.delete(name);
  }
}

/** A model that was called and never measured: nothing but its id is known. */
export function unmeasuredModel(id: string): ModelDigest {
  return { provider: 'unknown', id, version: 'unknown' };
}

function withPrompt(
  prompts: Readonly<Record<string, PromptDigest>>,
  { name, digest }: { readonly name: string; readonly digest: PromptDigest },
): Readonly<Record<string, PromptDigest>> {
  const map = mapOf(prompts);
  map.set(name, digest);
  const [other] = [...map.keys()].filter((key) => key !== name);
  if (map.size > MAX_PROMPTS && other !== undefined) map.delete(other);
  return recordOf(map);
}

function sizeOf(tuple: DigestTuple): number {
  return Buffer.byteLength(canonicalizeJson(digestTupleToJson(tuple)));
}

function mapOf<T>(record: Readonly<Record<string, T>>): Map<string, T> {
  return new Map(Object.entries(record));
}

/** Without a prototype: a tool may be called `__proto__`. */
function recordOf<T>(map: ReadonlyMap<string, T>): Readonly<Record<string, T>> {
  return Object.assign(Object.create(null) as Record<string, T>, Object.fromEntries(map));
}
