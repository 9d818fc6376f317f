import { readdirSync, statSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isDigest, type Digest } from '../../domain/canonical/digest.ts';
import { parseStrictJsonBytes } from '../../domain/canonical/strict-json.ts';
import { unifiedDiff } from '../../domain/canonical/line-diff.ts';
import { firstDifference, type TextDifference } from '../../domain/canonical/text-difference.ts';
import { writeFileAtomic } from '../../platform/atomic-file.ts';
import type { Logger } from '../../platform/logger.ts';
import { readBounded } from './bounded-read.ts';
import { digestOfParts } from './read-system-prompt.ts';

/** Where a drifted prompt departs from the approved one. Never the text itself. */
export interface PromptDifference extends TextDifference {
  /** Which file of an ordered set, from 1; absent for a single text. */
  readonly part?: number;
}

/**
 * Keeps prompt texts by digest, so that `explain` can say where a drifted prompt differs. Only
 * {@link PromptMemory.disclose} gives text out, and only what differs, with a few lines around it.
 */
export interface PromptMemory {
  /** A prompt that was measured: one text, or those of an ordered set. Kept in memory. */
  observe(digest: Digest, texts: readonly string[]): void;
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

/** How many prompts are kept, in memory and on disk each. */
const MAX_TEXTS = 32;
/** And how large they may be together in memory, in UTF-16 units. */
const MAX_UNITS = 8 * 1024 * 1024;
const MAX_FILE_BYTES = 64 * 1024 * 1024;
const FILE_NAME = /^[0-9a-f]{64}\.json$/;

export function createPromptMemory(options: PromptMemoryOptions): PromptMemory {
  const { directory, logger } = options;
  /** Oldest use first. */
  const known = new Map<Digest, readonly string[]>();
  const stored = new Set<Digest>();

  const keep = (digest: Digest, texts: readonly string[]): void => {
    known.delete(digest);
    known.set(digest, texts);
    for (const oldest of known.keys()) {
      if (known.size <= MAX_TEXTS && unitsIn(known) <= MAX_UNITS) break;
      if (oldest !== digest) known.delete(oldest);
    }
  };
  const find = (digest: Digest): readonly string[] | undefined =>
    known.get(digest) ?? (directory === undefined ? undefined : readStored(join(directory, fileName(digest)), digest));

  return {
    observe: keep,
    async approve(digest) {
      const texts = known.get(digest);
      if (texts === undefined || directory === undefined || stored.has(digest)) return;
      stored.add(digest);
      try {
        await mkdir(directory, { recursive: true, mode: 0o700 });
        await writeFileAtomic(join(directory, fileName(digest)), JSON.stringify(texts));
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

/** Compares prompts part by part; a set with more or fewer files is not described. */
export function differenceOf(approved: readonly string[], observed: readonly string[]): PromptDifference | undefined {
  if (approved.length !== observed.length) return undefined;
  const differences = approved.flatMap((text, index) => {
    const difference = firstDifference(text, observed[index] ?? '');
    return difference === undefined ? [] : [{ part: index + 1, difference }];
  });
  const [first] = differences;
  if (first === undefined) return undefined;
  return {
    ...first.difference,
    whitespaceOnly: differences.every(({ difference }) => difference.whitespaceOnly),
    ...(approved.length > 1 ? { part: first.part } : {}),
  };
}

/** One diff after the other where a prompt has several files. */
function diffOf(approved: readonly string[], observed: readonly string[], maxBytes: number): string {
  const count = Math.max(approved.length, observed.length);
  let [left, text] = [maxBytes, ''];
  for (let index = 0; index < count && left > 0; index += 1) {
    const part = count > 1 ? ` (file ${index + 1})` : '';
    const before = { name: `approved${part}`, text: approved[index] ?? '' };
    text += unifiedDiff(before, { name: `measured${part}`, text: observed[index] ?? '' }, { maxBytes: left });
    left = maxBytes - Buffer.byteLength(text);
  }
  return text;
}

function unitsIn(known: ReadonlyMap<Digest, readonly string[]>): number {
  return [...known.values()].flat().reduce((sum, text) => sum + text.length, 0);
}

function bareDigest(text: string): Digest | undefined {
  const digest = text.slice(text.lastIndexOf(' ') + 1);
  return isDigest(digest) ? digest : undefined;
}

function fileName(digest: Digest): string {
  return `${digest.slice('sha256:'.length)}.json`;
}

/** A stored text counts only if it still has the digest that its name says. */
function readStored(path: string, digest: Digest): readonly string[] | undefined {
  try {
    const texts = parseStrictJsonBytes(readBounded(path, MAX_FILE_BYTES));
    if (!Array.isArray(texts) || !texts.every((text) => typeof text === 'string')) return undefined;
    const hashes = [false, true].map((sequence) => digestOfParts(texts, sequence).hash);
    return hashes.includes(digest) ? texts : undefined;
  } catch {
    return undefined;
  }
}

async function removeOldest(directory: string): Promise<void> {
  const files = readdirSync(directory)
    .filter((name) => FILE_NAME.test(name))
    .map((name) => ({ path: join(directory, name), mtimeMs: statSync(join(directory, name)).mtimeMs }))
    .sort((a, b) => b.mtimeMs - a.mtimeMs);
  for (const { path } of files.slice(MAX_TEXTS)) await rm(path, { force: true });
}
