/**
 * A map that forgets the entry used longest ago when it is full. Only ever filled with what was verified: an attacker
 * who sends many different forgeries must not be able to push out good entries.
 */
export class BoundedCache<Value> {
  readonly #entries = new Map<string, Value>();
  readonly #max: number;

  /** @param max entries, at least 1. @throws RangeError */
  constructor(max: number) {
    if (!Number.isSafeInteger(max) || max < 1) throw new RangeError('a cache holds at least one entry');
    this.#max = max;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: string): Value | undefined {
    const value = this.#entries.get(key);
    if (value === undefined) return undefined;
    // A Map iterates in insertion order, so the first key is the one used longest ago.
    this.#entries.delete(key);
    this.#entries.set(key, value);
    return value;
  }

  set(key: string, value: Value): void {
    this.#entries.delete(key);
    if (this.#entries.size >= this.#max) {
      const [oldest] = this.#entries.keys();
      if (oldest !== undefined) this.#entries.delete(oldest);
    }
    this.#entries.set(key, value);
  }

  /** Forgets what has ended, so that the cache is as large as what is in use, and full only under a flood. */
  forget(isOver: (value: Value) => boolean): void {
    for (const [key, value] of this.#entries) if (isOver(value)) this.#entries.delete(key);
  }

  clear(): void {
    this.#entries.clear();
  }
}
