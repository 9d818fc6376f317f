import type { Dice } from './dice.ts';
import { wireOf, type Instruction } from './hpack-model.ts';
import { STATIC_TABLE } from '../../src/dataplane/hpack/static-table.ts';

export type Line = readonly [name: string, value: string];

/** An encoder that uses its table, and every way to say a field, by chance. */
export class TableEncoder {
  readonly #dice: Dice;
  /** Newest first. */
  #entries: Line[] = [];

  constructor(dice: Dice) {
    this.#dice = dice;
  }

  encode(lines: readonly Line[]): Buffer {
    return wireOf({ resizeTo: null, instructions: lines.map((line) => this.#instruction(line)) });
  }

  #instruction([name, value]: Line): Instruction {
    const known = this.#entries.findIndex((entry) => entry[0] === name && entry[1] === value);
    if (known !== -1 && this.#dice.chance(0.9)) return { kind: 'indexed', index: STATIC_TABLE.length + 1 + known };
    const kind = this.#dice.pick(['inserting', 'plain', 'never'] as const);
    const named = this.#entries.findIndex((entry) => entry[0] === name);
    const by = named !== -1 && this.#dice.chance(0.5) ? STATIC_TABLE.length + 1 + named : name;
    if (kind === 'inserting') this.#insert([name, value]);
    return { kind, name: by, value };
  }

  #insert(line: Line): void {
    this.#entries.unshift(line);
    let bytes = 0;
    const fitting = this.#entries.findIndex(([name, value]) => (bytes += name.length + value.length + 32) > 4096);
    if (fitting !== -1) this.#entries = this.#entries.slice(0, fitting);
  }
}
