import type { Digest } from '../../domain/canonical/digest.ts';
import { canonicalizeText, TextError } from '../../domain/canonical/text.ts';
import type { PromptDigest } from '../../domain/measurement.ts';
import { digestOfParts, NO_PROMPT, type KnownPrompt } from '../../domain/prompt/known-prompt.ts';
import {
  createTemplate,
  digestTemplate,
  TemplateError,
  type PromptTemplate,
} from '../../domain/prompt/prompt-template.ts';
import type { Slots } from '../../domain/prompt/slot.ts';
import { readBounded } from './bounded-read.ts';
import { assurancePass, weakest, type DimensionReader } from './dimension-reader.ts';
import type { MeasureConfig, PromptSource } from './measure-config.ts';
import { MeasurementProblem } from './measurement-problem.ts';
import { firstInvalidUtf8 } from './utf8-position.ts';

/**
 * Named prompts: a text (`ait-text-1`), an ordered set of texts (`ait-seq-1`), a template (`ait-template-1`) or the
 * statement that there is none (`ait-none-1`). Reads synchronously.
 *
 * Of the last there is nothing to read: the others' files say how sure the dimension is, and alone it is declared.
 */
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
      const texts = new Map<Digest, KnownPrompt>();
      for (const [name, source] of sources) {
        const { known, digest } = readPrompt(source, config.maxPromptBytes);
        prompts[name] = digest;
        texts.set(digest.hash, known);
      }
      return { value: { prompts, assurance: weakest(files.map(assuranceOf)) }, texts };
    },
  };
}

/** @throws MeasurementProblem */
export function readPrompt(
  source: PromptSource,
  maxBytes: number,
): { readonly known: KnownPrompt; readonly digest: PromptDigest } {
  switch (source.kind) {
    case 'text': {
      const known = source.files.map((file) => readText(file, maxBytes));
      return { known, digest: digestOfParts(known, source.sequence) };
    }
    case 'template': {
      const [file] = source.files;
      const known = asTemplate(file, readText(file, maxBytes), source.slots);
      return { known, digest: digestTemplate(known) };
    }
    case 'none':
      return { known: [], digest: NO_PROMPT };
  }
}

function asTemplate(path: string, text: string, slots: Slots): PromptTemplate {
  try {
    return createTemplate(text, slots);
  } catch (cause) {
    if (!(cause instanceof TemplateError)) throw cause;
    throw new MeasurementProblem('malformed', `${path}: ${cause.message}`, { cause });
  }
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
