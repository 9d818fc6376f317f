/** The W3C trace context of a call (https://www.w3.org/TR/trace-context/): passed on, or begun. */
import type { RandomSource } from '../../platform/random.ts';
import type { HeaderField } from '../hpack/header-field.ts';

/** Of version 00; a later version may have more after another dash (section 3.2.4). */
const LENGTH = 55;
const FIELDS = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;
const NO_TRACE = '0'.repeat(32);
const NO_PARENT = '0'.repeat(16);
const TRACE_AT = 3;
const PARENT_AT = 36;

/**
 * The `traceparent` that a caller sent, to be passed on as it is, and its `tracestate` with it. Version 00, and later
 * ones as far as they can be read.
 *
 * @returns `undefined` where there is none, where there are several, and where it is not valid: then a trace is to be
 * {@link TraceStarter.start started}, and any `tracestate` is of another trace and goes (section 3.3.1).
 */
export function receivedTraceparent(headers: readonly HeaderField[]): string | undefined {
  let found: string | undefined;
  for (const { name, value } of headers) {
    if (name !== 'traceparent') continue;
    if (found !== undefined) return undefined;
    found = value;
  }
  return found !== undefined && isTraceparent(found) ? found : undefined;
}

/** Whether it is valid, as far as it can be read. */
export function isTraceparent(value: string | undefined): value is string {
  if (value === undefined) return false;
  if (value.length !== LENGTH) {
    if (value.length < LENGTH || value.startsWith('00') || value[LENGTH] !== '-') return false;
    return isTraceparent(value.slice(0, LENGTH));
  }
  return (
    FIELDS.test(value) &&
    !value.startsWith('ff') &&
    !value.startsWith(NO_TRACE, TRACE_AT) &&
    !value.startsWith(NO_PARENT, PARENT_AT)
  );
}

const TRACE_BYTES = 16;
const PARENT_BYTES = 8;
const BYTES = TRACE_BYTES + PARENT_BYTES;
/** Traces for which randomness is drawn at once: a draw costs more than all the rest. */
const BLOCK = 256;

/**
 * Begins traces. They are marked as sampled: most agents' tracers follow the mark of whoever called them, and would fall
 * silent only because a sidecar stands before them.
 */
export class TraceStarter {
  readonly #random: RandomSource;
  #block = '';
  #at = 0;

  constructor(random: RandomSource) {
    this.#random = random;
  }

  /** @returns a `traceparent` that nobody has had before */
  start(): string {
    for (;;) {
      if (this.#at >= this.#block.length) this.#draw();
      const parentAt = this.#at + 2 * TRACE_BYTES;
      const trace = this.#block.slice(this.#at, parentAt);
      const parent = this.#block.slice(parentAt, parentAt + 2 * PARENT_BYTES);
      this.#at += 2 * BYTES;
      // One in 2⁶⁴, but such ids are invalid, and whoever gets one starts another trace.
      if (trace !== NO_TRACE && parent !== NO_PARENT) return `00-${trace}-${parent}-01`;
    }
  }

  #draw(): void {
    this.#block = this.#random.bytes(BYTES * BLOCK).toString('hex');
    this.#at = 0;
  }
}
