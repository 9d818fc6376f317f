import { open, readdir, readFile, rm, truncate, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import type { StoredDecision } from './stored-decision.ts';

/** Where a decision lies in its file, in bytes. */
export interface Place {
  readonly offset: number;
  readonly length: number;
}

/** One line of a file. */
export interface DecisionLine {
  /** Milliseconds since the epoch, by our clock. */
  readonly receivedAt: number;
  readonly decision: StoredDecision;
}

const FILE_NAME = /^decisions-([0-9]{8})\.jsonl$/;
const NEWLINE = 0x0a;

/** One file of the decision log: lines of JSON, only ever appended to. */
export class DecisionSegment {
  readonly number: number;
  readonly path: string;
  /** How many of its lines still count; kept by the log. */
  held = 0;
  /** Bytes and lines that are known to be whole. */
  size = 0;
  count = 0;
  /** After a failed write that could not be undone nothing more is appended. */
  broken = false;
  #handle: FileHandle | undefined;

  constructor(directory: string, number: number) {
    this.number = number;
    this.path = join(directory, `decisions-${String(number).padStart(8, '0')}.jsonl`);
  }

  /**
   * Reads what is there; a line without its end is cut off, one that is no decision is skipped.
   *
   * @returns how many lines were cut off or skipped.
   */
  async load(take: (line: DecisionLine & { readonly place: Place }) => void): Promise<number> {
    const bytes = await readFile(this.path);
    let damaged = 0;
    let offset = 0;
    for (let end = bytes.indexOf(NEWLINE); end !== -1; end = bytes.indexOf(NEWLINE, offset)) {
      const line = readLine(bytes.subarray(offset, end));
      if (line === undefined) damaged += 1;
      else take({ ...line, place: { offset, length: end - offset } });
      this.count += 1;
      offset = end + 1;
    }
    this.size = offset;
    if (offset < bytes.length) {
      damaged += 1;
      await truncate(this.path, offset);
    }
    return damaged;
  }

  /** All lines, or none: after a failure the file is as long as before. */
  async append(lines: readonly DecisionLine[]): Promise<readonly Place[]> {
    const buffers = lines.map((line) => Buffer.from(`${JSON.stringify(line)}\n`));
    this.#handle ??= await open(this.path, 'a', 0o600);
    try {
      await this.#handle.appendFile(Buffer.concat(buffers));
    } catch (error) {
      await this.#handle.truncate(this.size).catch(() => {
        this.broken = true;
      });
      throw error;
    }
    return buffers.map(({ length }) => {
      const place = { offset: this.size, length: length - 1 };
      this.size += length;
      this.count += 1;
      return place;
    });
  }

  /** What lies at these places; nothing of a file that is not there any more. */
  async read(places: readonly Place[]): Promise<readonly StoredDecision[]> {
    let handle: FileHandle | undefined;
    try {
      handle = await open(this.path, 'r');
      const decisions: StoredDecision[] = [];
      for (const { offset, length } of places) {
        const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, offset);
        const line = readLine(buffer.subarray(0, bytesRead));
        if (line !== undefined) decisions.push(line.decision);
      }
      return decisions;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw error;
    } finally {
      await handle?.close();
    }
  }

  async close(): Promise<void> {
    const handle = this.#handle;
    this.#handle = undefined;
    await handle?.close();
  }

  async remove(): Promise<void> {
    await this.close();
    await rm(this.path, { force: true });
  }
}

/** The files of earlier processes, oldest first. */
export async function findSegments(directory: string): Promise<readonly DecisionSegment[]> {
  const numbers = (await readdir(directory)).flatMap((name) => {
    const number = FILE_NAME.exec(name)?.[1];
    return number === undefined ? [] : [Number(number)];
  });
  return numbers.toSorted((a, b) => a - b).map((number) => new DecisionSegment(directory, number));
}

function readLine(bytes: Uint8Array): DecisionLine | undefined {
  try {
    const line = JSON.parse(Buffer.from(bytes).toString()) as Partial<DecisionLine> | null;
    const { receivedAt, decision } = line ?? {};
    if (typeof receivedAt !== 'number' || typeof decision !== 'object' || decision === null) return undefined;
    return typeof decision.agent === 'string' && typeof decision.correlation_id === 'string'
      ? { receivedAt, decision }
      : undefined;
  } catch {
    // Not JSON: a crash in the middle of a write leaves such a line.
    return undefined;
  }
}
