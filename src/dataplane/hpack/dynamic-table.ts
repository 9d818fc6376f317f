import type { HeaderField } from './header-field.ts';

/** What each entry costs besides its octets (RFC 7541, section 4.1). */
const ENTRY_OVERHEAD_BYTES = 32;

/** The size of a field: in the dynamic table (RFC 7541, section 4.1), and in a list (RFC 9113, section 6.5.2). */
export function fieldBytes({ name, value }: HeaderField): number {
  return name.length + value.length + ENTRY_OVERHEAD_BYTES;
}

/** The dynamic table of one direction of a connection (RFC 7541, sections 2.3.2 and 4): first in, first out. */
export class DynamicTable {
  readonly #ring: (HeaderField | undefined)[];
  readonly #mask: number;
  #newest = 0;
  #count = 0;
  #bytes = 0;
  #maxBytes: number;

  /**
   * @param limitBytes what {@link resize} will ever be called with, at most.
   * @param maxBytes the size to begin with.
   */
  constructor(limitBytes: number, maxBytes: number) {
    // A power of two, so that a place in the ring is found with a mask.
    const places = 2 ** Math.ceil(Math.log2(Math.max(1, limitBytes / ENTRY_OVERHEAD_BYTES)));
    this.#ring = Array.from({ length: places }, () => undefined);
    this.#mask = places - 1;
    this.#maxBytes = maxBytes;
  }

  /** How many entries there are. */
  get count(): number {
    return this.#count;
  }

  /** @param place 0 for the newest entry. */
  at(place: number): HeaderField | undefined {
    return place < this.#count ? this.#ring[(this.#newest - place) & this.#mask] : undefined;
  }

  /** Adds an entry; old ones make room. One that is larger than the table leaves it empty (section 4.4). */
  insert(field: HeaderField): void {
    const bytes = fieldBytes(field);
    this.#evictTo(this.#maxBytes - bytes);
    if (bytes > this.#maxBytes) return;
    this.#newest = (this.#newest + 1) & this.#mask;
    this.#ring[this.#newest] = field;
    this.#count++;
    this.#bytes += bytes;
  }

  /** Changes how large the table may be (section 4.3). */
  resize(maxBytes: number): void {
    this.#maxBytes = maxBytes;
    this.#evictTo(maxBytes);
  }

  #evictTo(bytes: number): void {
    while (this.#count > 0 && this.#bytes > bytes) {
      const oldest = (this.#newest - this.#count + 1) & this.#mask;
      const field = this.#ring[oldest];
      if (field !== undefined) this.#bytes -= fieldBytes(field);
      this.#ring[oldest] = undefined;
      this.#count--;
    }
  }
}
