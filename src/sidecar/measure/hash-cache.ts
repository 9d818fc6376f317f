import { createHash } from 'node:crypto';
import { statSync, type BigIntStats } from 'node:fs';
import { open } from 'node:fs/promises';
import { sha256Digest, type Digest } from '../../domain/canonical/digest.ts';
import type { Clock } from '../../platform/clock.ts';
import { readBounded, READ_FLAGS } from './bounded-read.ts';
import { fileProblem, MeasurementProblem } from './measurement-problem.ts';

/** After this time a file is hashed again although nothing about it seems to have changed, in ms. */
const REHASH_AFTER_MS = 600_000;
/**
 * File systems stamp changes with a clock that ticks every 1 to 10 ms: a file hashed this soon (ms) after its last
 * change can change again and look the same, so it is hashed again the next time.
 */
const RACY_MS = 50;
/** Up to this size (bytes) a file is read at once, without the detour through the thread pool. */
const SMALL_BYTES = 262_144;
const CHUNK_BYTES = 1_048_576;

interface Known {
  readonly mark: string;
  readonly digest: Digest;
  readonly hashedAt: number;
}

/** SHA-256 of raw files of any size, remembered by device, inode, size and both change times. */
export class HashCache {
  readonly #clock: Clock;
  #known = new Map<string, Known>();
  #seen = new Set<string>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * The digest of a regular file's bytes, read in chunks so that memory stays bounded and other work goes on.
   *
   * @throws MeasurementProblem `missing`, `unreadable`, `not_a_file`.
   */
  async digestOf(path: string): Promise<Digest> {
    this.#seen.add(path);
    const stats = statOf(path);
    const mark = markOf(stats);
    const known = this.#known.get(path);
    const now = this.#clock.monotonic();
    if (known?.mark === mark && now - known.hashedAt < REHASH_AFTER_MS) return known.digest;
    const racy = this.#clock.now() - Number(stats.ctimeMs) < RACY_MS;
    const digest = stats.size <= SMALL_BYTES ? smallDigest(path) : await streamedDigest(path);
    if (!racy && markOf(statOf(path)) === mark) this.#known.set(path, { mark, digest, hashedAt: now });
    else this.#known.delete(path);
    return digest;
  }

  /** Forgets files that were not asked for since the last call: a manifest that changes must not grow the cache. */
  forgetUnseen(): void {
    this.#known = new Map([...this.#known].filter(([path]) => this.#seen.has(path)));
    this.#seen = new Set();
  }
}

function statOf(path: string): BigIntStats {
  let stats: BigIntStats;
  try {
    stats = statSync(path, { bigint: true });
  } catch (error) {
    throw fileProblem(path, error);
  }
  if (!stats.isFile()) throw new MeasurementProblem('not_a_file', `${path}: not a regular file`);
  return stats;
}

function markOf(stats: BigIntStats): string {
  return `${stats.dev}:${stats.ino}:${stats.size}:${stats.mtimeNs}:${stats.ctimeNs}`;
}

/** Room to grow while it is read: one that outgrows even that is caught as a change by the second reading. */
function smallDigest(path: string): Digest {
  return sha256Digest(readBounded(path, SMALL_BYTES * 2));
}

async function streamedDigest(path: string): Promise<Digest> {
  try {
    const file = await open(path, READ_FLAGS);
    try {
      if (!(await file.stat()).isFile()) throw new MeasurementProblem('not_a_file', `${path}: not a regular file`);
      const hash = createHash('sha256');
      const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
      for (;;) {
        const { bytesRead } = await file.read(chunk, 0, chunk.length, null);
        if (bytesRead === 0) return `sha256:${hash.digest('hex')}`;
        hash.update(chunk.subarray(0, bytesRead));
      }
    } finally {
      await file.close();
    }
  } catch (error) {
    throw error instanceof MeasurementProblem ? error : fileProblem(path, error);
  }
}
