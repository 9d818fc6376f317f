import { createHash } from 'node:crypto';
import { chmod, mkdir, readFile, readdir, rm } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { JsonValue } from '../domain/canonical/strict-json.ts';
import { MeshError } from '../domain/mesh-error.ts';
import { writeFileAtomic } from './atomic-file.ts';
import { lockDirectory, type DirectoryLock } from './directory-lock.ts';
import { RecordTable } from './record-table.ts';
import type { Change, StateStore, StoredRecord } from './store.ts';

const STATE_FILE = 'state.json';
/** Tells a directory that lost its state from one that never had any. */
const MARKER_FILE = 'state.created';
const FORMAT = 'ait-state-1';

interface WaitingCommit {
  readonly changes: readonly Change[];
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * State in one file of one directory (0600 in 0700), rewritten whole and atomically: what is small is best kept simple,
 * and after a kill at any moment the file is the state before a commit or after it. Commits that come while the file is
 * being written share the next writing; each still happens as a whole or not at all, in the order in which they came.
 * The first line has the checksum of the rest, so that damage is told from data.
 */
export class FileStore implements StateStore {
  readonly #path: string;
  readonly #lock: DirectoryLock;
  #table: RecordTable;
  #waiting: WaitingCommit[] = [];
  #writing: Promise<void> | undefined;
  #closed = false;

  private constructor(path: string, lock: DirectoryLock, table: RecordTable) {
    this.#path = path;
    this.#lock = lock;
    this.#table = table;
  }

  /**
   * Opens a directory, creating it when it does not exist (its parents too).
   *
   * @throws MeshError `STATE_LOCKED` when a living process has it; `STATE_FILE_CORRUPT` naming a file that is damaged or
   * has vanished; it is left as it is, and nothing starts from empty.
   */
  static async open(directory: string): Promise<FileStore> {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await chmod(directory, 0o700);
    const lock = lockDirectory(directory);
    try {
      await removeLeftovers(directory);
      const path = join(directory, STATE_FILE);
      const marker = join(directory, MARKER_FILE);
      if (!existsSync(path)) {
        if (existsSync(marker)) throw corrupt(path, 'is missing, although this directory had state');
        await writeFileAtomic(path, encode(new RecordTable()));
      }
      const table = decode(path, await readFile(path, 'utf8'));
      if (!existsSync(marker)) await writeFileAtomic(marker, 'state.json belongs here; without it nothing starts\n');
      return new FileStore(path, lock, table);
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  async get(collection: string, key: string): Promise<JsonValue | undefined> {
    this.#assertOpen();
    return this.#table.get(collection, key);
  }

  async list(collection: string): Promise<readonly StoredRecord[]> {
    this.#assertOpen();
    return this.#table.list(collection);
  }

  async commit(changes: readonly Change[]): Promise<void> {
    this.#assertOpen();
    await new Promise<void>((resolve, reject) => {
      this.#waiting.push({ changes, resolve, reject });
      // A moment later, so that what is committed in one turn of the loop is written together.
      this.#writing ??= Promise.resolve().then(() => this.#writeWaiting());
    });
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#writing;
    this.#lock.release();
  }

  async #writeWaiting(): Promise<void> {
    while (this.#waiting.length > 0) {
      const commits = this.#waiting.splice(0);
      const refused = new Map<WaitingCommit, unknown>();
      let next = this.#table;
      for (const commit of commits) {
        try {
          if (commit.changes.length > 0) next = next.apply(commit.changes);
        } catch (error) {
          refused.set(commit, error);
        }
      }
      try {
        if (next !== this.#table) await this.#write(next);
      } catch (error) {
        // Also who was refused: it was judged by changes that have not happened.
        for (const { reject } of commits) reject(error);
        continue;
      }
      for (const commit of commits) {
        if (refused.has(commit)) commit.reject(refused.get(commit));
        else commit.resolve();
      }
    }
    // In one step with having seen that nobody waits: who comes next begins anew.
    this.#writing = undefined;
  }

  async #write(next: RecordTable): Promise<void> {
    if (!this.#lock.held())
      throw new MeshError('STATE_LOCKED', `${this.#path}: the lock was lost; nothing was written`);
    await writeFileAtomic(this.#path, encode(next)).catch((cause: unknown) => {
      throw new MeshError('STATE_NOT_WRITTEN', `${this.#path} cannot be written: ${(cause as Error).message}`, {
        cause,
        hint: 'make room on the disk, or make the state directory writable; what is in force stays in force',
      });
    });
    this.#table = next;
  }

  #assertOpen(): void {
    if (this.#closed) throw new MeshError('INTERNAL', `${this.#path}: the store is closed`);
  }
}

/** By the value: what is stored never changes, and is one record's own copy, so the record's line does not change either. */
const lines = new WeakMap<object, string>();
const encoded = new WeakMap<object, Buffer>();

/** Records as pairs: a key such as `__proto__` is only a string then. */
function lineOf(key: string, value: JsonValue): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify([key, value]);
  const known = lines.get(value);
  if (known !== undefined) return known;
  const line = JSON.stringify([key, value]);
  lines.set(value, line);
  return line;
}

/** One line a record; a commit seldom concerns more than two collections. The order of records says nothing. */
function encodeCollection(table: RecordTable, name: string): Buffer {
  const records = table.records(name);
  const known = encoded.get(records);
  if (known !== undefined) return known;
  const written = Array.from(records, ([key, value]) => lineOf(key, value)).join(',\n');
  const bytes = Buffer.from(`[${JSON.stringify(name)},[\n${written}\n]]`);
  encoded.set(records, bytes);
  return bytes;
}

function encode(table: RecordTable): Buffer {
  const collections = table.collectionNames().map((name) => encodeCollection(table, name));
  const parts = collections.flatMap((bytes, index) => (index === 0 ? [bytes] : [SEPARATOR, bytes]));
  const body = [OPENING, ...parts, CLOSING];
  const header = JSON.stringify({ format: FORMAT, sha256: sha256(...body) });
  return Buffer.concat([Buffer.from(`${header}\n`), ...body]);
}

const OPENING = Buffer.from('[');
const SEPARATOR = Buffer.from(',\n');
const CLOSING = Buffer.from(']\n');

function decode(path: string, text: string): RecordTable {
  const lineEnd = text.indexOf('\n');
  if (lineEnd < 0) throw corrupt(path, text === '' ? 'is empty' : 'is cut short or is no state file');
  const body = text.slice(lineEnd + 1);
  try {
    const header = JSON.parse(text.slice(0, lineEnd)) as { format?: unknown; sha256?: unknown } | null;
    if (header?.format !== FORMAT) throw corrupt(path, `has a first line without format ${FORMAT}`);
    if (header.sha256 !== sha256(body)) throw corrupt(path, 'does not have the checksum in its first line');
    const changes = (JSON.parse(body) as [string, [string, JsonValue][]][]).flatMap(([collection, records]) =>
      records.map(([key, value]): Change => ({ kind: 'put', collection, key, value })),
    );
    return new RecordTable().apply(changes);
  } catch (cause) {
    if (cause instanceof MeshError) throw cause;
    throw corrupt(path, 'is no state file', cause);
  }
}

function corrupt(path: string, problem: string, cause?: unknown): MeshError {
  return new MeshError('STATE_FILE_CORRUPT', `${path} ${problem}`, {
    hint: 'restore the file from a backup; to start with no state at all, remove the whole directory',
    cause,
  });
}

/** Temporary files of a process that was killed while writing; the lock is ours, so nobody is writing one now. */
async function removeLeftovers(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    if (/^\.(state\.json|state\.created)\.[0-9a-f]{12}\.tmp$/.test(name))
      await rm(join(directory, name), { force: true });
  }
}

function sha256(...parts: readonly (string | Uint8Array)[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
}
