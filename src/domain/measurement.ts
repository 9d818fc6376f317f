import type { Canonicalization, Digest } from './canonical/digest.ts';

/** What makes an agent that agent. */
export const DIMENSIONS = ['system_prompt', 'knowledge_base', 'model', 'tools'] as const;
export type Dimension = (typeof DIMENSIONS)[number];

/**
 * By what means a digest was obtained, weakest first: `declared` (configuration or the agent says so, or the agent
 * could have written the source), `at_rest` (read by the sidecar from a source the agent cannot write), `in_use` (seen
 * in the agent's own calls), `attested` (equals verified evidence).
 */
export const ASSURANCES = ['declared', 'at_rest', 'in_use', 'attested'] as const;
export type Assurance = (typeof ASSURANCES)[number];

export function meetsAssurance(actual: Assurance, minimum: Assurance): boolean {
  return ASSURANCES.indexOf(actual) >= ASSURANCES.indexOf(minimum);
}

export interface PromptDigest {
  readonly hash: Digest;
  readonly canonicalization: Canonicalization;
}

/** Named prompts: an agent graph has several. Never empty. */
export interface SystemPromptDigest {
  readonly prompts: Readonly<Record<string, PromptDigest>>;
}

export interface KnowledgeBaseDigest {
  readonly version: string;
  readonly hash: Digest;
  readonly canonicalization: Canonicalization;
}

export interface ModelDigest {
  readonly provider: string;
  readonly id: string;
  readonly version: string;
  /** Digest of the weights (or of their manifest), where the model has one that can be read. */
  readonly hash?: Digest;
}

/** One digest a tool, by tool name. Never empty: an agent without tools has no such dimension. */
export interface ToolsDigest {
  readonly canonicalization: Canonicalization;
  readonly tools: Readonly<Record<string, Digest>>;
}

/** The digests of one agent, per dimension; `null` says that the agent has nothing of the kind. */
export interface DigestTuple {
  readonly system_prompt: SystemPromptDigest | null;
  readonly knowledge_base: KnowledgeBaseDigest | null;
  readonly model: ModelDigest | null;
  readonly tools: ToolsDigest | null;
}

type Assured<T> = T extends null ? null : T & { readonly assurance: Assurance };

/** The digests a sidecar computed now, each with the means by which it was obtained. */
export type Measurement = { readonly [D in Dimension]: Assured<DigestTuple[D]> };

/** One value inside a dimension that differs: which, what was approved, what was seen (`undefined`: absent). */
export interface Difference {
  readonly dimension: Dimension;
  /** For example `main` (a prompt), `search` (a tool), `version`; empty where the whole dimension is there or not. */
  readonly item: string;
  readonly expected: string | undefined;
  readonly observed: string | undefined;
}

/**
 * Flattens a dimension to `item → comparable text`. A digest is compared together with its algorithm and
 * canonicalization rule, so that the same hex under another rule is another value.
 */
export function comparableItems(dimension: Dimension, tuple: DigestTuple): ReadonlyMap<string, string> | null {
  switch (dimension) {
    case 'system_prompt': {
      const value = tuple.system_prompt;
      if (value === null) return null;
      return new Map(Object.entries(value.prompts).map(([name, p]) => [name, `${p.canonicalization} ${p.hash}`]));
    }
    case 'knowledge_base': {
      const value = tuple.knowledge_base;
      if (value === null) return null;
      return new Map([
        ['version', value.version],
        ['hash', `${value.canonicalization} ${value.hash}`],
      ]);
    }
    case 'model': {
      const value = tuple.model;
      if (value === null) return null;
      const items = new Map([
        ['provider', value.provider],
        ['id', value.id],
        ['version', value.version],
      ]);
      if (value.hash !== undefined) items.set('hash', value.hash);
      return items;
    }
    case 'tools': {
      const value = tuple.tools;
      if (value === null) return null;
      return new Map(
        Object.entries(value.tools).map(([name, digest]) => [name, `${value.canonicalization} ${digest}`]),
      );
    }
  }
}

/** A tuple never changes, and each session compares its peer's with the baselines every second. */
const texts = new WeakMap<DigestTuple, string>();

/** Equal for two tuples exactly when no item differs. */
function textOf(tuple: DigestTuple): string {
  const known = texts.get(tuple);
  if (known !== undefined) return known;
  const text = JSON.stringify(
    DIMENSIONS.map((dimension) => {
      const items = comparableItems(dimension, tuple);
      return items === null ? null : [...items].toSorted(([a], [b]) => (a < b ? -1 : 1));
    }),
  );
  texts.set(tuple, text);
  return text;
}

/** Whether no item differs: what {@link differencesBetween} says by an empty list, at a fraction of its cost. */
export function sameDigests(a: DigestTuple, b: DigestTuple): boolean {
  return a === b || textOf(a) === textOf(b);
}

/** Whether two agents have the same tools. */
export function sameTools(a: ToolsDigest | null, b: ToolsDigest | null): boolean {
  return sameDigests({ ...NOTHING, tools: a }, { ...NOTHING, tools: b });
}

const NOTHING = { system_prompt: null, knowledge_base: null, model: null } as const;

/** Every item in which two tuples differ, in the order of {@link DIMENSIONS}, then by item name. Empty means equal. */
export function differencesBetween(expected: DigestTuple, observed: DigestTuple): Difference[] {
  if (sameDigests(expected, observed)) return [];
  return DIMENSIONS.flatMap((dimension) => dimensionDifferences(dimension, expected, observed));
}

export function dimensionDifferences(dimension: Dimension, expected: DigestTuple, observed: DigestTuple): Difference[] {
  const left = comparableItems(dimension, expected);
  const right = comparableItems(dimension, observed);
  if (left === null && right === null) return [];
  if (left === null || right === null) {
    return [{ dimension, item: '', expected: presence(left), observed: presence(right) }];
  }
  const items = [...new Set([...left.keys(), ...right.keys()])].toSorted();
  return items
    .filter((item) => left.get(item) !== right.get(item))
    .map((item) => ({ dimension, item, expected: left.get(item), observed: right.get(item) }));
}

/** Same digests *and* same assurance: what the proof's measurement must share with its AIT's. */
export function sameMeasurement(a: Measurement, b: Measurement): boolean {
  return sameDigests(a, b) && DIMENSIONS.every((d) => a[d]?.assurance === b[d]?.assurance);
}

function presence(items: ReadonlyMap<string, string> | null): string | undefined {
  return items === null ? undefined : `${items.size} item(s)`;
}
