import type { HeaderField } from '../../src/dataplane/hpack/header-field.ts';
import { STATIC_TABLE } from '../../src/dataplane/hpack/static-table.ts';

/** One instruction of a header block (RFC 7541, section 6); a name may be an index. */
export type Instruction =
  | { readonly kind: 'indexed'; readonly index: number }
  | { readonly kind: 'inserting' | 'plain' | 'never'; readonly name: string | number; readonly value: string };

export interface ModelBlock {
  readonly resizeTo: number | null;
  readonly instructions: readonly Instruction[];
}

const LITERALS = { inserting: [0x40, 0x3f], plain: [0, 0x0f], never: [0x10, 0x0f] } as const;

function integer(pattern: number, prefix: number, value: number): number[] {
  if (value < prefix) return [pattern | value];
  const octets = [pattern | prefix];
  let rest = value - prefix;
  for (; rest >= 128; rest = Math.floor(rest / 128)) octets.push((rest % 128) + 128);
  return [...octets, rest];
}

function string(text: string): number[] {
  return [...integer(0, 0x7f, text.length), ...Buffer.from(text, 'latin1')];
}

/** The bytes of a block. */
export function wireOf({ resizeTo, instructions }: ModelBlock): Buffer {
  const octets = resizeTo === null ? [] : integer(0x20, 0x1f, resizeTo);
  for (const instruction of instructions) {
    if (instruction.kind === 'indexed') octets.push(...integer(0x80, 0x7f, instruction.index));
    else {
      const [pattern, prefix] = LITERALS[instruction.kind];
      const { name, value } = instruction;
      octets.push(...(typeof name === 'number' ? integer(pattern, prefix, name) : [pattern, ...string(name)]));
      octets.push(...string(value));
    }
  }
  return Buffer.from(octets);
}

/** A table as the specification words it: one array, worked on from the start for each block, nothing remembered. */
export class PlainTable {
  #entries: HeaderField[] = [];
  #maxBytes = 4096;

  /** @returns the fields of the block, `undefined` where it names what is not there. */
  follow({ resizeTo, instructions }: ModelBlock): HeaderField[] | undefined {
    if (resizeTo !== null) this.#maxBytes = resizeTo;
    this.#evict();
    const fields: HeaderField[] = [];
    for (const instruction of instructions) {
      if (instruction.kind === 'indexed') {
        const field = this.#at(instruction.index);
        if (field === undefined) return undefined;
        fields.push(field);
      } else {
        const { kind, name: given, value } = instruction;
        const name = typeof given === 'number' ? this.#at(given)?.name : given;
        if (name === undefined) return undefined;
        fields.push(kind === 'never' ? { name, value, sensitive: true } : { name, value });
        if (kind === 'inserting') this.#entries.unshift({ name, value });
        this.#evict();
      }
    }
    return fields;
  }

  #at(index: number): HeaderField | undefined {
    return [...STATIC_TABLE, ...this.#entries][index - 1];
  }

  #evict(): void {
    let bytes = 0;
    const fitting = this.#entries.findIndex(({ name, value }) => {
      bytes += name.length + value.length + 32;
      return bytes > this.#maxBytes;
    });
    if (fitting !== -1) this.#entries = this.#entries.slice(0, fitting);
  }
}
