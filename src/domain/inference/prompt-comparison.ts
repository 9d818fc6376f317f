import { AIT_TEMPLATE_1 } from '../canonical/digest.ts';
import { firstDifference } from '../canonical/text-difference.ts';
import type { PromptDigest } from '../measurement.ts';
import { digestsOfTexts, isTemplate, type KnownPrompt } from '../prompt/known-prompt.ts';
import { matchTemplate } from '../prompt/prompt-template.ts';
import type { InUseDifference } from './in-use.ts';
import type { InstructionText } from './model-call.ts';
import type { PromptBook } from './prompt-book.ts';

/** The instruction texts of a call, with their digests worked out once. */
export interface SeenPrompt {
  readonly instructions: readonly InstructionText[];
  /** Every digest that they can be approved under without being a template; the first stands for them elsewhere. */
  readonly digests: readonly [PromptDigest, ...PromptDigest[]];
}

export type PromptComparison =
  | {
      readonly fits: true;
      /** `undefined`: the agent is approved to have no prompt, and used none. */
      readonly name: string | undefined;
      readonly digest: PromptDigest;
    }
  | NearestPrompt;

interface NearestPrompt {
  readonly fits: false;
  readonly name: string;
  /** What is known of it. */
  readonly nearest: KnownPrompt | undefined;
  /** How much of the texts is the same, from 0 to 1; -1 where the approved text is not known. */
  readonly shared: number;
}

/** Where there is no prompt to be near to. */
export const UNNAMED = 'unnamed';

export function seenPrompt(instructions: readonly InstructionText[]): SeenPrompt {
  return { instructions, digests: digestsOfTexts(instructions.map(({ text }) => text)) };
}

/**
 * Which of the prompts the instruction texts are, all of them and in their order. Fails closed: without a prompt nothing
 * fits, and a template that the book does not know fits nothing.
 *
 * @param locate whether to find the nearest prompt, where none fits: it costs a look at every text.
 */
export function comparePrompt(
  seen: SeenPrompt,
  prompts: Readonly<Record<string, PromptDigest>>,
  { book, locate }: { readonly book: PromptBook; readonly locate: boolean },
): PromptComparison {
  const entries = Object.entries(prompts);
  const fitting = entries.find(([, digest]) => fits(seen, digest, book));
  if (fitting !== undefined) return { fits: true, name: fitting[0], digest: fitting[1] };
  let best: NearestPrompt = { fits: false, name: entries[0]?.[0] ?? UNNAMED, nearest: undefined, shared: -1 };
  if (!locate) return best;
  for (const [name, { hash }] of entries) {
    const nearest = book.find(hash);
    const shared = nearest === undefined ? -1 : sharedPart(nearest, seen.instructions);
    if (shared > best.shared) best = { fits: false, name, nearest, shared };
  }
  return best;
}

function fits({ instructions, digests }: SeenPrompt, approved: PromptDigest, book: PromptBook): boolean {
  if (approved.canonicalization !== AIT_TEMPLATE_1) {
    return digests.some(
      ({ hash, canonicalization }) => hash === approved.hash && canonicalization === approved.canonicalization,
    );
  }
  const [only, ...more] = instructions;
  if (only === undefined || more.length > 0) return false;
  const known = book.find(approved.hash);
  return known !== undefined && isTemplate(known) && matchTemplate(known, only.text).matches;
}

function sharedPart(known: KnownPrompt, instructions: readonly InstructionText[]): number {
  if (isTemplate(known)) {
    const [first] = instructions;
    if (first === undefined) return 0;
    const match = matchTemplate(known, first.text);
    const texts = instructions.reduce((sum, { text }) => sum + text.length, 0);
    return (match.matches ? first.text.length : match.at) / Math.max(texts, known.text.length);
  }
  let [shared, whole] = [0, 0];
  for (let index = 0; index < Math.max(known.length, instructions.length); index++) {
    const [expected, observed] = [known[index] ?? '', instructions[index]?.text ?? ''];
    shared += commonEnds(expected, observed);
    whole += Math.max(expected.length, observed.length);
  }
  return whole === 0 ? 0 : shared / whole;
}

/** How many characters two texts have in common at their beginning and, of the rest, at their end. */
function commonEnds(left: string, right: string): number {
  const shorter = Math.min(left.length, right.length);
  if (left === right) return shorter;
  let head = 0;
  while (head < shorter && left.charCodeAt(head) === right.charCodeAt(head)) head++;
  let tail = 0;
  while (
    tail < shorter - head &&
    left.charCodeAt(left.length - 1 - tail) === right.charCodeAt(right.length - 1 - tail)
  ) {
    tail++;
  }
  return head + tail;
}

/** Where the instruction texts first depart from the nearest prompt, for people. */
export function locateDifference(seen: readonly InstructionText[], { name, nearest }: NearestPrompt): InUseDifference {
  if (nearest === undefined) {
    const observedBytes = seen.reduce((sum, { text }) => sum + Buffer.byteLength(text), 0);
    return { at: seen[0]?.at ?? '', prompt: name, observedBytes };
  }
  if (isTemplate(nearest)) {
    const [first, second] = seen;
    if (first === undefined) return { at: '', prompt: name, byteOffset: 0, observedBytes: 0 };
    const match = matchTemplate(nearest, first.text);
    if (match.matches) return extraText(second ?? first, name);
    const observedBytes = Buffer.byteLength(first.text);
    return { at: first.at, prompt: name, byteOffset: Buffer.byteLength(first.text.slice(0, match.at)), observedBytes };
  }
  const index = firstDifferentText(nearest, seen);
  const [expected, observed] = [nearest[index], seen[index]];
  if (observed === undefined) {
    const expectedBytes = Buffer.byteLength(expected ?? '');
    return { at: '', prompt: name, byteOffset: 0, observedBytes: 0, expectedBytes };
  }
  if (expected === undefined) return extraText(observed, name);
  const difference = firstDifference(expected, observed.text);
  const later = seen.slice(index + 1).map(({ text }, at) => firstDifference(nearest[index + 1 + at] ?? '', text));
  return {
    at: observed.at,
    prompt: name,
    byteOffset: difference?.byteOffset ?? 0,
    observedBytes: Buffer.byteLength(observed.text),
    expectedBytes: Buffer.byteLength(expected),
    whitespaceOnly:
      nearest.length === seen.length && [difference, ...later].every((each) => each?.whitespaceOnly !== false),
  };
}

function firstDifferentText(expected: readonly string[], observed: readonly InstructionText[]): number {
  const at = observed.findIndex(({ text }, index) => text !== expected[index]);
  return at < 0 ? observed.length : at;
}

function extraText({ at, text }: InstructionText, prompt: string): InUseDifference {
  return { at, prompt, byteOffset: 0, observedBytes: Buffer.byteLength(text), expectedBytes: 0 };
}
