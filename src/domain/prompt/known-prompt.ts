import { AIT_NONE_1, AIT_SEQ_1, AIT_TEXT_1, digestSequence, sha256Digest, type Digest } from '../canonical/digest.ts';
import type { PromptDigest } from '../measurement.ts';
import { digestTemplate, type PromptTemplate } from './prompt-template.ts';

/** A prompt of which more is known than its digest: canonical texts in their order (none: no instruction), or a template. */
export type KnownPrompt = readonly string[] | PromptTemplate;

export function isTemplate(prompt: KnownPrompt): prompt is PromptTemplate {
  return 'places' in prompt;
}

/** What a call without any instruction is approved as. */
export const NO_PROMPT: PromptDigest = { hash: sha256Digest(''), canonicalization: AIT_NONE_1 };

/**
 * The digest of canonical texts. In a sequence a part is named by its position, from 1: file names differ between the
 * machine that builds a baseline and the one that measures, and mean nothing to the model.
 *
 * @param sequence whether a single text was declared as an ordered set of one.
 * @throws {import('../canonical/digest.ts').DigestError} `empty_list` for no texts.
 */
export function digestOfParts(parts: readonly string[], sequence: boolean): PromptDigest {
  const digests = parts.map((text) => sha256Digest(text));
  const [first] = digests;
  return !sequence && first !== undefined && digests.length === 1 ? asText(first) : asSequence(digests);
}

/**
 * Every digest that canonical texts can be approved under, the most usual first: a single text may stand for itself, or
 * for an ordered set of one.
 */
export function digestsOfTexts(texts: readonly string[]): readonly [PromptDigest, ...PromptDigest[]] {
  const digests = texts.map((text) => sha256Digest(text));
  const [first] = digests;
  if (first === undefined) return [NO_PROMPT];
  return digests.length === 1 ? [asText(first), asSequence(digests)] : [asSequence(digests)];
}

/** As {@link digestsOfTexts}, for whatever is known. */
export function digestsOfPrompt(prompt: KnownPrompt): readonly PromptDigest[] {
  return isTemplate(prompt) ? [digestTemplate(prompt)] : digestsOfTexts(prompt);
}

function asText(hash: Digest): PromptDigest {
  return { hash, canonicalization: AIT_TEXT_1 };
}

function asSequence(digests: readonly Digest[]): PromptDigest {
  const named = digests.map((sha256, index) => ({ name: String(index + 1), sha256 }));
  return { hash: digestSequence(named), canonicalization: AIT_SEQ_1 };
}
