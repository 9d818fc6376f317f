/** Chances that a seed decides: the same seed gives the same ones. */
export class Dice {
  readonly #next: () => number;

  /** @param next numbers from 0 up to, never including, 1 */
  constructor(next: () => number) {
    this.#next = next;
  }

  /** A whole number from 0 up to, never including, that one. */
  below(limit: number): number {
    return Math.floor(this.#next() * limit);
  }

  chance(probability: number): boolean {
    return this.#next() < probability;
  }

  pick<T>(list: readonly T[]): T {
    const found = list[this.below(list.length)];
    if (found === undefined) throw new RangeError('nothing to pick from');
    return found;
  }
}
