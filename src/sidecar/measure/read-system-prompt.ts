import { AIT_SEQ_1, AIT_TEXT_1, digestSequence, sha256Digest, type Digest } from '../../domain/canonical/digest.ts';
import { canonicalizeText, TextError } from '../../domain/canonical/text.ts';
import type { PromptDigest } from '../../domain/measurement.ts';
import { readBounded } from './bounded-read.ts';
import { assurancePass, weakest, type DimensionReader } from './dimension-reader.ts';
import type { MeasureConfig, PromptSource } from './measure-config.ts';
import { MeasurementProblem } from './measurement-problem.ts';
import { firstInvalidUtf8 } from './utf8-position.ts';

/** Named prompts, each one text (`ait-text-1`) or an ordered set of texts (`ait-seq-1`). Reads synchronously. */
export function createSystemPromptReader(
  sources: ReadonlyMap<string, PromptSource>,
  config: MeasureConfig,
): DimensionReader<'system_prompt'> {
  const files = [...new Set([...sources.values()].flatMap((source) => source.files))];
  return {
    dimension: 'system_prompt',
    paths: () => files,
    read() {
      const assuranceOf = assurancePass(config, 'system_prompt');
      const prompts = Object.create(null) as Record<string, PromptDigest>;
      const texts = new Map<Digest, readonly string[]>();
      for (const [name, source] of sources) {
        const parts = source.files.map((file) => readText(file, config.maxPromptBytes));
        const prompt = digestOfParts(parts, source.sequence);
        prompts[name] = prompt;
        texts.set(prompt.hash, parts);
      }
      return { value: { prompts, assurance: weakest(files.map(assuranceOf)) }, texts };
    },
  };
}

/**
 * The digest of canonical texts. In a sequence a part is named by its position, from 1: file names differ between the
 * machine that builds a baseline and the one that measures, and mean nothing to the model.
 */
export function digestOfParts(parts: readonly string[], sequence: boolean): PromptDigest {
  const digests = parts.map((text) => sha256Digest(text));
  const [first] = digests;
  if (!sequence && first !== undefined && digests.length === 1) return { hash: first, canonicalization: AIT_TEXT_1 };
  const named = digests.map((sha256, index) => ({ name: String(index + 1), sha256 }));
  return { hash: digestSequence(named), canonicalization: AIT_SEQ_1 };
}

/** @throws MeasurementProblem `empty`, `not_utf8`, `binary`, and those of `readBounded`. */
export function readText(path: string, maxBytes: number): string {
  const bytes = readBounded(path, maxBytes);
  try {
    return canonicalizeText(bytes);
  } catch (cause) {
    if (!(cause instanceof TextError)) throw cause;
    throw new MeasurementProblem(cause.code, `${path}: ${describe(cause, bytes)}`, { cause });
  }
}

function describe(error: TextError, bytes: Uint8Array): string {
  switch (error.code) {
    case 'empty':
      return 'empty';
    case 'not_utf8':
      return `not UTF-8 at byte ${firstInvalidUtf8(bytes)}`;
    case 'binary':
      return `not a text: NUL at byte ${bytes.indexOf(0)}`;
  }
}
