import type { JsonValue } from '../../src/domain/canonical/strict-json.ts';
import { MeshError } from '../../src/domain/mesh-error.ts';
import { RecordTable } from '../../src/platform/record-table.ts';
import type { Change, StateStore, StoredRecord } from '../../src/platform/store.ts';

/** A state store without a disk; it holds the same compliance suite as the real ones. */
export class MemoryStore implements StateStore {
  #table = new RecordTable();
  #closed = false;

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
    this.#table = this.#table.apply(changes);
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  #assertOpen(): void {
    if (this.#closed) throw new MeshError('INTERNAL', 'the store is closed');
  }
}
