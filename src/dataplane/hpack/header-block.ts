import type { HeaderField } from './header-field.ts';

/** One decoded block. The very same object comes back while the same bytes mean the same. */
export interface HeaderBlock {
  readonly tooLarge: false;
  readonly fields: readonly HeaderField[];
  /** The sum of name + value + 32 over all fields, in bytes (RFC 9113, section 6.5.2). */
  readonly listBytes: number;
  /**
   * Where the instruction of each field begins in the block, in bytes, and at last where the block ends: given where the
   * block means the same to every decoder, because none of it reads or changes a dynamic table. Such bytes may be sent
   * on as they are. `undefined` for other blocks.
   */
  readonly portable: readonly number[] | undefined;
  /**
   * For the reader of the block alone: whatever it derived from the fields and wants to find again when the block
   * comes again. `undefined` at first. It must follow from the fields and from what never changes.
   */
  derived: unknown;
}

/** A block whose list is larger than was allowed: decoded for the table's sake, its fields are gone. */
export interface TooLargeBlock {
  readonly tooLarge: true;
  /** Of the whole list, in bytes. */
  readonly listBytes: number;
}
