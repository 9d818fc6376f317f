import type { HeaderField } from './header-field.ts';

/** One decoded block. The very same object comes back while the same bytes mean the same. */
export interface HeaderBlock {
  readonly tooLarge: false;
  readonly fields: readonly HeaderField[];
  /** The sum of name + value + 32 over all fields, in bytes (RFC 9113, section 6.5.2). */
  readonly listBytes: number;
  /** Whether it said something new about the dynamic table, so that the same bytes would mean something else now. */
  readonly changedTable: boolean;
  /**
   * For the reader of the block alone: whatever it derived from the fields and wants to find again when the block
   * comes again. `undefined` at first. It must follow from the fields and from what never changes.
   */
  derived: unknown;
}

/** A block whose list is larger than was allowed: decoded for the table's sake. */
export interface TooLargeBlock {
  readonly tooLarge: true;
  /** The first ones, as far as they fit. */
  readonly fields: readonly HeaderField[];
  /** Of the whole list, in bytes. */
  readonly listBytes: number;
}
