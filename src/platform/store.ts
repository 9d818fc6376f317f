import type { JsonValue } from '../domain/canonical/strict-json.ts';

export interface StoredRecord {
  readonly key: string;
  readonly value: JsonValue;
}

/** One write. With a condition that does not hold, the whole commit is refused. */
export type Change =
  | {
      readonly kind: 'put';
      readonly collection: string;
      readonly key: string;
      readonly value: JsonValue;
      readonly condition?: ChangeCondition;
    }
  | {
      readonly kind: 'delete';
      readonly collection: string;
      readonly key: string;
      readonly condition?: ChangeCondition;
    };

/** `absent`: no record has the key; `equals`: the record has this value, the order of object keys aside. */
export type ChangeCondition = { readonly absent: true } | { readonly equals: JsonValue };

/**
 * Small durable state as collections of JSON records. A collection's name is lower-case snake_case and it exists while
 * it has records; a key is any string that is not empty. What is read is frozen and never changes afterwards.
 */
export interface StateStore {
  get(collection: string, key: string): Promise<JsonValue | undefined>;
  /** All records, in the order of their keys' UTF-16 code units. */
  list(collection: string): Promise<readonly StoredRecord[]>;
  /**
   * Makes all changes, in order, or none; conditions see the changes before them. Durable when it resolves. Deleting
   * what is not there does nothing.
   *
   * @throws MeshError `STATE_CONFLICT` when a condition does not hold; `STATE_LOCKED` when another process took over;
   * `STATE_NOT_WRITTEN` when it cannot be kept, such as on a full disk.
   * @throws TypeError for a name, key or value outside the rules above.
   */
  commit(changes: readonly Change[]): Promise<void>;
  /** Ends use; waits for commits under way. Everything after it throws. Closing again does nothing. */
  close(): Promise<void>;
}
