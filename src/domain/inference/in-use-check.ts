import { isInForce, type Baseline } from '../baseline.ts';
import { AIT_JSON_1 } from '../canonical/digest.ts';
import {
  DIMENSIONS,
  differencesBetween,
  dimensionDifferences,
  type Difference,
  type DigestTuple,
  type Measurement,
  type ModelDigest,
} from '../measurement.ts';
import { DRIFT_CODES, rejection, type Rejection } from '../rejection.ts';
import type { InUseDifference, InUseVerdict } from './in-use.ts';
import type { ModelCall } from './model-call.ts';
import { observedTuple, unmeasuredModel } from './observed-tuple.ts';
import type { PromptBook } from './prompt-book.ts';
import {
  comparePrompt,
  locateDifference,
  seenPrompt,
  UNNAMED,
  type PromptComparison,
  type SeenPrompt,
} from './prompt-comparison.ts';
import { compareTools, seenTools, type SeenTool, type ToolComparison } from './tool-comparison.ts';

/** What a call is held against. */
export interface InUseWorld {
  /** What was measured at rest. */
  readonly measurement: Measurement;
  /** The agent's baselines, in force or not. */
  readonly baselines: readonly Baseline[];
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** Id of the baseline that the agent is held under, for which being retired does not count. */
  readonly heldUnder?: string | undefined;
  readonly book: PromptBook;
  /** Names under which the agent may call for a model, each with the id that it is approved as. Default: none. */
  readonly modelAliases?: ReadonlyMap<string, string> | undefined;
}

/** A call as one baseline sees it. */
interface Comparison {
  readonly baseline: Baseline;
  readonly prompt: PromptComparison;
  readonly tools: readonly ToolComparison[];
  /** Empty: the call fits. */
  readonly differences: readonly Difference[];
}

/**
 * Whether a call shows the agent as one baseline in force has it, as a whole tuple: all instruction texts, in order, are
 * one of its prompts; each offered tool is one of its tools; the model is its model. What calls do not show (the
 * knowledge base, and a model's version and weights where it is the model measured) counts as measured at rest. Version
 * 1's prompt with version 2's tools, both approved, is drift.
 *
 * Fails closed: no baseline in force fits nothing; no instruction at all fits only where that was approved; a tool
 * offered where none is approved is drift, and so is any call where a baseline has no model.
 */
export function checkInUse(call: ModelCall, world: InUseWorld): InUseVerdict {
  const { measurement, now, heldUnder } = world;
  const inForce = world.baselines.filter((baseline) => isInForce(baseline, now, heldUnder));
  const seen: Seen = {
    prompt: seenPrompt(call.instructions),
    tools: seenTools(call.tools),
    modelId: world.modelAliases?.get(call.model) ?? call.model,
    rest: digestsOf(measurement),
  };
  const fitting = inForce
    .map((baseline) => compare(baseline, seen, { book: world.book, locate: false }))
    .filter(({ differences }) => differences.length === 0)
    .toSorted((a, b) => byMeasurement(a.baseline, b.baseline, seen.rest))[0];
  if (fitting !== undefined) {
    const { baseline, prompt } = fitting;
    return { matches: true, baseline: baseline.id, prompt: prompt.name, observed: baseline.digests };
  }
  const comparisons = inForce
    .map((baseline) => compare(baseline, seen, { book: world.book, locate: true }))
    .toSorted(byNearness);
  return mismatch(call, seen, comparisons);
}

function mismatch(call: ModelCall, seen: Seen, comparisons: readonly Comparison[]): InUseVerdict {
  const [nearest] = comparisons;
  if (nearest === undefined) {
    const missing = rejection('BASELINE_MISSING', 'no approved baseline is in force, so that no call to a model fits', {
      self: true,
    });
    return { matches: false, rejection: missing, differences: [], where: undefined, observed: seen.rest };
  }
  const { prompt, differences } = nearest;
  const where = prompt.fits ? undefined : locateDifference(call.instructions, prompt);
  const at = partOf(nearest, where);
  return {
    matches: false,
    rejection: driftRejection(nearest, { at, call }),
    differences,
    where,
    ...(at !== undefined && { at }),
    observed: observedTuple(seen.rest, {
      prompt: promptOf(comparisons, nearest, seen),
      tools: nearest.tools.map(({ tool, digest, fits }) => ({ name: tool.name, digest, fits })),
      modelId: seen.modelId,
    }),
  };
}

interface Seen {
  readonly prompt: SeenPrompt;
  readonly tools: readonly SeenTool[];
  readonly modelId: string;
  /** What was measured at rest. */
  readonly rest: DigestTuple;
}

interface Looking {
  readonly book: PromptBook;
  readonly locate: boolean;
}

/** Puts what was seen into the place of what is approved, and lists what is then different. */
function compare(baseline: Baseline, seen: Seen, looking: Looking): Comparison {
  const { digests } = baseline;
  const prompt = comparePromptDimension(seen.prompt, digests, looking);
  const tools = compareTools(seen.tools, digests.tools, looking.book);
  const asSeen: DigestTuple = {
    system_prompt: prompt.fits
      ? digests.system_prompt
      : { prompts: withMember(digests.system_prompt?.prompts, prompt.name, seen.prompt.digests[0]) },
    knowledge_base: seen.rest.knowledge_base,
    model: modelAsSeen(digests.model, { measured: seen.rest.model, id: seen.modelId }),
    tools: tools.every(({ fits }) => fits)
      ? digests.tools
      : {
          canonicalization: digests.tools?.canonicalization ?? AIT_JSON_1,
          tools: tools.reduce(
            (map, { tool, digest }) => withMember(map, tool.name, digest),
            digests.tools?.tools ?? {},
          ),
        },
  };
  const differences = DIMENSIONS.flatMap((dimension) =>
    asSeen[dimension] === digests[dimension] ? [] : dimensionDifferences(dimension, digests, asSeen),
  );
  return { baseline, prompt, tools, differences };
}

/** Where a baseline says that the agent has no prompt, only a call without instructions fits. */
function comparePromptDimension(
  seen: SeenPrompt,
  { system_prompt: approved }: DigestTuple,
  looking: Looking,
): PromptComparison {
  const [digest] = seen.digests;
  if (approved === null && seen.instructions.length === 0) return { fits: true, name: undefined, digest };
  return comparePrompt(seen, approved?.prompts ?? {}, looking);
}

/** The version and weights that were measured are those of the model measured, and say nothing of another. */
function modelAsSeen(
  approved: ModelDigest | null,
  { measured, id }: { readonly measured: ModelDigest | null; readonly id: string },
): ModelDigest {
  // An agent that is approved to have no model has none to call.
  if (approved === null) return measured?.id === id ? measured : unmeasuredModel(id);
  return measured?.id === id ? measured : { ...approved, id };
}

/** As for measurements: fewest differing dimensions, then items; of equals the one whose prompt is nearest, then the newest. */
function byNearness(a: Comparison, b: Comparison): number {
  return (
    dimensionsOf(a).size - dimensionsOf(b).size ||
    a.differences.length - b.differences.length ||
    sharedOf(b) - sharedOf(a) ||
    b.baseline.approvedAt - a.baseline.approvedAt
  );
}

function dimensionsOf({ differences }: Comparison): ReadonlySet<string> {
  return new Set(differences.map(({ dimension }) => dimension));
}

function sharedOf({ prompt }: Comparison): number {
  return prompt.fits ? 1 : prompt.shared;
}

/** Of several baselines that a call fits, the one that is also nearest to what lies on disk, then the newest. */
function byMeasurement(a: Baseline, b: Baseline, rest: DigestTuple): number {
  const [left, right] = [differencesBetween(a.digests, rest), differencesBetween(b.digests, rest)];
  return left.length - right.length || b.approvedAt - a.approvedAt;
}

/** A prompt that another baseline approves is named as that one names it: it is drift only in its company. */
function promptOf(comparisons: readonly Comparison[], nearest: Comparison, { prompt: seen, rest }: Seen) {
  if (seen.instructions.length === 0 && rest.system_prompt === null) return undefined;
  for (const { prompt } of [nearest, ...comparisons]) {
    if (prompt.fits && prompt.name !== undefined) return { name: prompt.name, digest: prompt.digest };
  }
  const [first = UNNAMED] = Object.keys(rest.system_prompt?.prompts ?? {});
  return { name: nearest.prompt.name ?? first, digest: seen.digests[0] };
}

/** The part of the request that is told to the caller: of the dimension that the rejection is of. */
function partOf({ differences, tools }: Comparison, where: InUseDifference | undefined): string | undefined {
  switch (differences[0]?.dimension) {
    case 'system_prompt':
      return where?.at === '' ? undefined : where?.at;
    case 'model':
      return 'model';
    case 'tools':
      return tools.find(({ fits }) => !fits)?.tool.at;
    case 'knowledge_base':
    case undefined:
      return undefined;
  }
}

function driftRejection(
  { baseline, prompt, differences }: Comparison,
  { at, call }: { readonly at: string | undefined; readonly call: ModelCall },
): Rejection {
  const dimension = differences[0]?.dimension ?? 'system_prompt';
  const details = {
    system_prompt: `${at ?? 'the call lacks an instruction, and'} is not the approved prompt ${JSON.stringify(prompt.name ?? UNNAMED)}`,
    knowledge_base: 'the knowledge base, as measured at rest, is not approved with what the call shows',
    model: `the model ${JSON.stringify(call.model)} is not approved with what else the call shows`,
    tools: `${at ?? 'a tool'} is not approved as it is offered`,
  };
  return rejection(DRIFT_CODES[dimension], `in use: ${details[dimension]}`, {
    self: true,
    differences,
    nearestBaseline: baseline.id,
  });
}

function digestsOf(measurement: Measurement): DigestTuple {
  return Object.fromEntries(
    DIMENSIONS.map((dimension) => {
      const { assurance: _, ...digests } = measurement[dimension] ?? {};
      return [dimension, measurement[dimension] === null ? null : digests];
    }),
  ) as unknown as DigestTuple;
}

/** Keeps a member named `__proto__` a member. */
function withMember<T>(map: Readonly<Record<string, T>> | undefined, name: string, value: T): Record<string, T> {
  return Object.assign(Object.create(null) as Record<string, T>, map, { [name]: value });
}
