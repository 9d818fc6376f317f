import { BlockReader } from './block-reader.ts';
import { DynamicTable, fieldBytes } from './dynamic-table.ts';
import type { HeaderBlock, TooLargeBlock } from './header-block.ts';
import type { HeaderField } from './header-field.ts';
import { HpackError } from './hpack-error.ts';
import { RepeatedBlocks, blockHash } from './repeated-blocks.ts';
import { STATIC_TABLE } from './static-table.ts';

/** SETTINGS_HEADER_TABLE_SIZE where nobody said otherwise (RFC 9113, section 6.5.2). */
const DEFAULT_TABLE_BYTES = 4096;
/** The smallest the table became since the last block, and what it is now (RFC 7541, section 4.2). */
const MAX_SIZE_UPDATES = 2;

// The patterns of an instruction's first octet, and the integer that begins in it (section 6).
const INDEXED = 0x80;
const INDEXED_PREFIX = 0x7f;
const WITH_INDEXING = 0x40;
const WITH_INDEXING_PREFIX = 0x3f;
const SIZE_UPDATE = 0x20;
const SIZE_UPDATE_PREFIX = 0x1f;
const NEVER_INDEXED = 0x10;
const LITERAL_PREFIX = 0x0f;

/** Decodes the header blocks of one direction of a connection, in order (RFC 7541). */
export class HpackDecoder {
  readonly #table: DynamicTable;
  readonly #repeated = new RepeatedBlocks();
  readonly #maxTableBytes: number;
  readonly #maxListBytes: number;
  #failed = false;

  /**
   * @param options.maxTableBytes the SETTINGS_HEADER_TABLE_SIZE that the encoder was told, 0 to 65,536; default 4096.
   *   The table begins with this, or with 4096 where this is more; for less than 4096 the encoder must have known it
   *   before its first block.
   * @param options.maxListBytes the largest list whose fields are kept, in bytes as in RFC 9113, section 6.5.2.
   * @throws RangeError
   */
  constructor({
    maxTableBytes = DEFAULT_TABLE_BYTES,
    maxListBytes,
  }: {
    readonly maxTableBytes?: number;
    readonly maxListBytes: number;
  }) {
    if (!Number.isSafeInteger(maxTableBytes) || maxTableBytes < 0 || maxTableBytes > 65_536) {
      throw new RangeError('maxTableBytes must be 0 to 65536');
    }
    if (!Number.isSafeInteger(maxListBytes) || maxListBytes < 1) throw new RangeError('maxListBytes must be positive');
    this.#maxTableBytes = maxTableBytes;
    this.#maxListBytes = maxListBytes;
    this.#table = new DynamicTable(maxTableBytes, Math.min(maxTableBytes, DEFAULT_TABLE_BYTES));
  }

  /**
   * Decodes one whole block: the fragments of HEADERS and of what continues it, joined. A block that says nothing new
   * about the table gives the same object as the last time.
   *
   * @param block not kept.
   * @throws HpackError for whatever is wrong with it, and for every block after that one.
   */
  decode(block: Buffer): HeaderBlock | TooLargeBlock {
    if (this.#failed) throw new HpackError('an earlier block could not be decoded');
    const hash = blockHash(block);
    const known = this.#repeated.find(block, hash);
    if (known !== undefined) return known;
    this.#failed = true;
    const reader = new BlockReader(block);
    let changesTable = this.#readSizeUpdates(reader);
    const fields: HeaderField[] = [];
    let listBytes = 0;
    while (!reader.atEnd) {
      const first = reader.first;
      let field: HeaderField;
      if (first >= INDEXED) {
        field = this.#indexed(reader.integer(INDEXED_PREFIX));
      } else if (first >= WITH_INDEXING) {
        field = this.#literal(reader, WITH_INDEXING_PREFIX, true);
        this.#table.insert(field);
        changesTable = true;
      } else if (first >= SIZE_UPDATE) {
        throw new HpackError('a table size update is not at the beginning of its block');
      } else {
        field = this.#literal(reader, LITERAL_PREFIX, false);
        if (first >= NEVER_INDEXED) field = { name: field.name, value: field.value, sensitive: true };
      }
      listBytes += fieldBytes(field);
      if (listBytes <= this.#maxListBytes) fields.push(field);
    }
    this.#failed = false;
    if (changesTable) this.#repeated.clear();
    if (listBytes > this.#maxListBytes) return { tooLarge: true, fields, listBytes };
    const decoded: HeaderBlock = { tooLarge: false, fields, listBytes, changedTable: changesTable, derived: undefined };
    if (!changesTable) this.#repeated.offer(block, hash, decoded);
    return decoded;
  }

  /** What a block means that came before and was kept; `undefined`: it has to be decoded, or may not even be one. */
  recall(block: Buffer): HeaderBlock | undefined {
    return this.#failed ? undefined : this.#repeated.find(block, blockHash(block));
  }

  /**
   * Keeps what the beginning of a block means that has just been decoded without a change of the table, for the next time
   * that a block begins so. To be called with bytes that end between two of its fields only.
   */
  keep(beginning: Buffer, fields: readonly HeaderField[]): void {
    const listBytes = fields.reduce((sum, field) => sum + fieldBytes(field), 0);
    this.#repeated.offer(beginning, blockHash(beginning), {
      tooLarge: false,
      fields,
      listBytes,
      changedTable: false,
      derived: undefined,
    });
  }

  #readSizeUpdates(reader: BlockReader): boolean {
    let updates = 0;
    while (!reader.atEnd && reader.first >= SIZE_UPDATE && reader.first < WITH_INDEXING) {
      if (++updates > MAX_SIZE_UPDATES) throw new HpackError('a block begins with more than two table size updates');
      const bytes = reader.integer(SIZE_UPDATE_PREFIX);
      if (bytes > this.#maxTableBytes) throw new HpackError('a table size update is larger than what was allowed');
      this.#table.resize(bytes);
    }
    return updates > 0;
  }

  #indexed(index: number): HeaderField {
    if (index === 0) throw new HpackError('an index is 0');
    const field =
      index <= STATIC_TABLE.length ? STATIC_TABLE[index - 1] : this.#table.at(index - STATIC_TABLE.length - 1);
    if (field === undefined) throw new HpackError('an index lies beyond the table');
    return field;
  }

  #literal(reader: BlockReader, prefix: number, kept: boolean): HeaderField {
    const index = reader.integer(prefix);
    const name = index === 0 ? reader.string(kept) : this.#indexed(index).name;
    return { name, value: reader.string(kept) };
  }
}
