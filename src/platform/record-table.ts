import { isDeepStrictEqual } from 'node:util';
import type { JsonValue } from '../domain/canonical/strict-json.ts';
import { MeshError } from '../domain/mesh-error.ts';
import type { Change, StoredRecord } from './store.ts';

const COLLECTION_NAME = /^[a-z][a-z0-9_]{0,63}$/;
const MAX_DEPTH = 64;

type Collections = ReadonlyMap<string, ReadonlyMap<string, JsonValue>>;

/** Collections of records as an immutable value: applying changes makes a new table and leaves this one as it was. */
export class RecordTable {
  readonly #collections: Collections;

  constructor(collections: Collections = new Map()) {
    this.#collections = collections;
  }

  get(collection: string, key: string): JsonValue | undefined {
    return this.#collections.get(collection)?.get(key);
  }

  list(collection: string): readonly StoredRecord[] {
    const records = [...(this.#collections.get(collection) ?? [])].map(([key, value]) => ({ key, value }));
    return records.sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  /** The records of a collection: the very same value until a change concerns it. */
  records(collection: string): ReadonlyMap<string, JsonValue> {
    return this.#collections.get(collection) ?? new Map();
  }

  collectionNames(): string[] {
    return [...this.#collections.keys()].sort();
  }

  /** @throws MeshError `STATE_CONFLICT`, TypeError; see `StateStore.commit`. */
  apply(changes: readonly Change[]): RecordTable {
    const collections = new Map<string, ReadonlyMap<string, JsonValue>>(this.#collections);
    const copies = new Map<string, Map<string, JsonValue>>();
    for (const change of changes) {
      const { collection, key, condition } = change;
      if (!COLLECTION_NAME.test(collection)) throw new TypeError(`"${collection}" is not a name of a collection`);
      if (key === '') throw new TypeError(`an empty key in ${collection}`);
      const records = copies.get(collection) ?? new Map(collections.get(collection));
      copies.set(collection, records);
      const current = records.get(key);
      const holds =
        condition === undefined ||
        ('absent' in condition ? current === undefined : isDeepStrictEqual(current, condition.equals));
      if (!holds) throw new MeshError('STATE_CONFLICT', `${collection}/${key} is not as the change expects`);
      if (change.kind === 'put') records.set(key, frozenCopy(change.value, `${collection}/${key}`, 0));
      else records.delete(key);
    }
    for (const [name, records] of copies) {
      if (records.size > 0) collections.set(name, records);
      else collections.delete(name);
    }
    return new RecordTable(collections);
  }
}

function frozenCopy(value: JsonValue, where: string, depth: number): JsonValue {
  if (depth > MAX_DEPTH) throw new TypeError(`${where} is nested deeper than ${MAX_DEPTH}`);
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return value;
  // -0 would come back from a file as 0.
  if (typeof value === 'number' && Number.isFinite(value)) return value === 0 ? 0 : value;
  if (Array.isArray(value)) {
    return Object.freeze(Array.from(value as readonly JsonValue[], (item) => frozenCopy(item, where, depth + 1)));
  }
  if (typeof value === 'object' && [Object.prototype, null].includes(Object.getPrototypeOf(value) as object | null)) {
    const entries = Object.entries(value).map(([name, inner]) => [name, frozenCopy(inner, where, depth + 1)] as const);
    return Object.freeze(Object.fromEntries(entries));
  }
  throw new TypeError(`${where} holds a value that JSON cannot say`);
}
