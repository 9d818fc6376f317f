import { readdirSync, statSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isDigest, type Digest } from '../../domain/canonical/digest.ts';
import { parseStrictJsonBytes, type JsonObject, type JsonValue } from '../../domain/canonical/strict-json.ts';
import { unifiedDiff } from '../../domain/canonical/line-diff.ts';
import { firstDifference, type TextDifference } from '../../domain/canonical/text-difference.ts';
import type { PromptBook } from '../../domain/inference/prompt-book.ts';
import { objectAt, stringAt } from '../../domain/json-shape.ts';
import { MAX_PROMPTS } from '../../domain/measurement-json.ts';
import { digestsOfPrompt, isTemplate, type KnownPrompt } from '../../domain/prompt/known-prompt.ts';
import { createTemplate } from '../../domain/prompt/prompt-template.ts';
import { parseSlots, slotsToJson } from '../../domain/prompt/slot.ts';
import { writeFileAtomic } from '../../platform/atomic-file.ts';
import type { Logger } from '../../platform/logger.ts';
import { readBounded } from './bounded-read.ts';

/** Where a drifted prompt departs from the approved one. Never the text itself. */
export interface PromptDifference extends TextDifference {
  /** Which file of an ordered set, from 1; absent for a single text. */
  readonly part?: number;
}

/**
 * Keeps prompts by digest, so that `explain` can say where a drifted one differs, and so that calls can be compared with
 * templates. Only {@link PromptMemory.disclose} gives text out of the sidecar, and only what differs, with a few lines
 * around it.
 */
export interface PromptMemory extends PromptBook {
  /** A prompt that was measured. Kept in memory. Not for what a call showed: that could push out what is approved. */
  observe(digest: Digest, prompt: KnownPrompt): void;
  /** The tools of a manifest that was measured. Those of the few manifests before are kept as well, for roll-outs. */
  observeTools(definitions: ReadonlyMap<Digest, JsonObject>): void;
  /** The digest matched a baseline: its text, if it is known, is also kept on disk, to survive a restart. */
  approve(digest: Digest): Promise<void>;
  /**
   * Where the observed text first departs from the expected one. Both may be bare digests, or `<rule> <digest>` as a
   * `Difference` has them. `undefined` when one of the texts is not known or they are not comparable.
   */
  describe(expectedHash: string, observedHash: string): PromptDifference | undefined;
  /**
   * A unified diff of the two texts, for an operator who may see it and has been logged as having asked. Arguments as of
   * {@link describe}; `undefined` when one of the texts is not known.
   *
   * @param maxBytes bound of the result, in bytes of UTF-8.
   */
  disclose(expectedHash: string, observedHash: string, maxBytes: number): string | undefined;
}

export interface PromptMemoryOptions {
  /** A folder of the sidecar's own, made with mode 0700 when something is kept. Without it nothing is kept on disk. */
  readonly directory?: string;
  readonly logger: Logger;
}

/** How many prompts are kept, in memory and on disk each: twice as many as one agent may have. */
const MAX_TEXTS = 2 * MAX_PROMPTS;
/** And how large they may be together in memory, in UTF-16 units. */
const MAX_UNITS = 8 * 1024 * 1024;
const MAX_FILE_BYTES = 64 * 1024 * 1024;
const FILE_NAME = /^[0-9a-f]{64}\.json$/;
/** How many versions of the tool manifest are kept. */
const MAX_MANIFESTS = 4;

export function createPromptMemory(options: PromptMemoryOptions): PromptMemory {
  const { directory, logger } = options;
  /** Oldest use first. */
  const known = new Map<Digest, KnownPrompt>();
  const stored = new Set<Digest>();
  /** The newest first. */
  let manifests: readonly ReadonlyMap<Digest, JsonObject>[] = [];

  const keep = (digest: Digest, prompt: KnownPrompt): void => {
    known.delete(digest);
    known.set(digest, prompt);
    for (const oldest of known.keys()) {
      if (known.size <= MAX_TEXTS && unitsIn(known) <= MAX_UNITS) break;
      if (oldest !== digest) known.delete(oldest);
    }
  };
  const find = (digest: Digest): KnownPrompt | undefined => {
    const inMemory = known.get(digest);
    if (inMemory !== undefined) {
      // Now it is the last to go.
      known.delete(digest);
      known.set(digest, inMemory);
      return inMemory;
    }
    const onDisk = directory === undefined ? undefined : readStored(join(directory, fileName(digest)), digest);
    if (onDisk !== undefined) keep(digest, onDisk);
    return onDisk;
  };

  return {
    find,
    findTool: (digest) => manifests.find((tools) => tools.has(digest))?.get(digest),
    observe: keep,
    observeTools(definitions) {
      manifests = [definitions, ...manifests].slice(0, MAX_MANIFESTS);
    },
    async approve(digest) {
      const prompt = known.get(digest);
      if (prompt === undefined || directory === undefined || stored.has(digest)) return;
      stored.add(digest);
      try {
        await mkdir(directory, { recursive: true, mode: 0o700 });
        await writeFileAtomic(join(directory, fileName(digest)), JSON.stringify(storedForm(prompt)));
        await removeOldest(directory);
      } catch (error) {
        // Enforcement does not depend on it: only an explanation will be poorer.
        stored.delete(digest);
        logger.warn('prompt_memory_write_failed', { digest, error });
      }
    },
    describe(expectedHash, observedHash) {
      const [expected, observed] = [bareDigest(expectedHash), bareDigest(observedHash)];
      if (expected === undefined || observed === undefined) return undefined;
      const [approved, seen] = [find(expected), find(observed)];
      return approved === undefined || seen === undefined ? undefined : differenceOf(approved, seen);
    },
    disclose(expectedHash, observedHash, maxBytes) {
      const [expected, observed] = [bareDigest(expectedHash), bareDigest(observedHash)];
      if (expected === undefined || observed === undefined) return undefined;
      const [approved, seen] = [find(expected), find(observed)];
      return approved === undefined || seen === undefined ? undefined : diffOf(approved, seen, maxBytes);
    },
  };
}

/**
 * Compares prompts part by part; a set with more or fewer files is not described. Of two templates, as of a template and
 * a text on disk, it is the texts with their markers that are compared.
 */
export function differenceOf(approved: KnownPrompt, observed: KnownPrompt): PromptDifference | undefined {
  const [expected, seen] = [textsOf(approved), textsOf(observed)];
  if (expected.length !== seen.length) return undefined;
  const differences = expected.flatMap((text, index) => {
    const difference = firstDifference(text, seen[index] ?? '');
    return difference === undefined ? [] : [{ part: index + 1, difference }];
  });
  const [first] = differences;
  if (first === undefined) return undefined;
  return {
    ...first.difference,
    whitespaceOnly: differences.every(({ difference }) => difference.whitespaceOnly),
    ...(expected.length > 1 ? { part: first.part } : {}),
  };
}

function textsOf(prompt: KnownPrompt): readonly string[] {
  return isTemplate(prompt) ? [prompt.text] : prompt;
}

/** One diff after the other where a prompt has several files; after a template that of its declarations. */
function diffOf(approved: KnownPrompt, observed: KnownPrompt, maxBytes: number): string {
  const [before, after] = [textsOf(approved), textsOf(observed)];
  const count = Math.max(before.length, after.length);
  const parts = Array.from({ length: count }, (_, index) => ({
    label: count > 1 ? ` (file ${index + 1})` : '',
    before: before[index] ?? '',
    after: after[index] ?? '',
  }));
  parts.push({ label: ' (slots)', before: declarationsOf(approved), after: declarationsOf(observed) });
  let [left, text] = [maxBytes, ''];
  for (const { label, before, after } of parts) {
    if (left <= 0) break;
    const was = { name: `approved${label}`, text: before };
    text += unifiedDiff(was, { name: `measured${label}`, text: after }, { maxBytes: left });
    left = maxBytes - Buffer.byteLength(text);
  }
  return text;
}

function declarationsOf(prompt: KnownPrompt): string {
  return isTemplate(prompt) ? `${JSON.stringify(slotsToJson(prompt.slots), null, 2)}\n` : '';
}

function unitsIn(known: ReadonlyMap<Digest, KnownPrompt>): number {
  return [...known.values()].flatMap(textsOf).reduce((sum, text) => sum + text.length, 0);
}

function bareDigest(text: string): Digest | undefined {
  const digest = text.slice(text.lastIndexOf(' ') + 1);
  return isDigest(digest) ? digest : undefined;
}

function fileName(digest: Digest): string {
  return `${digest.slice('sha256:'.length)}.json`;
}

/** A list of texts, or a template as `{text, slots}`. */
function storedForm(prompt: KnownPrompt): JsonValue {
  return isTemplate(prompt) ? { text: prompt.text, slots: slotsToJson(prompt.slots) } : prompt;
}

/** A stored prompt counts only if it still has the digest that its name says. */
function readStored(path: string, digest: Digest): KnownPrompt | undefined {
  try {
    const prompt = parseStored(parseStrictJsonBytes(readBounded(path, MAX_FILE_BYTES)));
    return digestsOfPrompt(prompt).some(({ hash }) => hash === digest) ? prompt : undefined;
  } catch {
    return undefined;
  }
}

/** @throws {ShapeError} or {TemplateError} */
function parseStored(json: JsonValue): KnownPrompt {
  if (Array.isArray(json)) return json.map((text, index) => stringAt(text, `[${index}]`, /^[^]*$/, 'a text'));
  const { text, slots } = objectAt(json, 'template', { required: ['text', 'slots'] });
  return createTemplate(stringAt(text, 'text', /^[^]*$/, 'a text'), parseSlots(slots));
}

async function removeOldest(directory: string): Promise<void> {
  const files = readdirSync(directory)
    .filter((name) => FILE_NAME.test(name))
    .map((name) => ({ path: join(directory, name), mtimeMs: statSync(join(directory, name)).mtimeMs }))
    .sort((a, b) => b.mtimeMs - a.mtimeMs);
  for (const { path } of files.slice(MAX_TEXTS)) await rm(path, { force: true });
}
