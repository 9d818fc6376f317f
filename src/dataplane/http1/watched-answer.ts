import { rejection as reject } from '../../domain/rejection.ts';
import type { BodyVerdict, ResponseWatch } from './body-watch.ts';

const NOTHING: BodyVerdict = { ok: true, body: Buffer.alloc(0) };
const [LF, CR] = [10, 13];

/** The body of an answer that somebody reads along in: what goes in comes out judged. Fails closed. */
export class WatchedAnswer {
  readonly #watch: ResponseWatch;
  #held: Buffer[] = [];
  #bytes = 0;
  /** Bytes of the line at hand, and whether its end may still be one byte longer. */
  #lineLength = 0;
  #afterCr = false;

  constructor(watch: ResponseWatch) {
    this.#watch = watch;
  }

  /** Whether all of it comes at the end, and its length may be another then. */
  get isWhole(): boolean {
    return this.#watch.kind === 'whole';
  }

  /** @returns what may go on now, which may be nothing */
  take(chunk: Buffer): BodyVerdict {
    if (this.#watch.kind === 'whole') return this.#hold(chunk) ?? NOTHING;
    const passed: Buffer[] = [];
    let from = 0;
    for (let end = this.#eventEnd(chunk, 0); end !== undefined; end = this.#eventEnd(chunk, end)) {
      const tooLong = this.#hold(chunk.subarray(from, end));
      if (tooLong !== undefined) return tooLong;
      from = end;
      const verdict = this.#watch.event(this.#takeHeld());
      if (!verdict.ok) return verdict;
      passed.push(verdict.body);
    }
    const tooLong = this.#hold(chunk.subarray(from));
    return tooLong ?? { ok: true, body: passed.length === 1 ? (passed[0] ?? chunk) : Buffer.concat(passed) };
  }

  /** @returns what is left to go on */
  end(): BodyVerdict {
    if (this.#watch.kind === 'whole') return this.#watch.body(this.#takeHeld());
    return this.#bytes === 0 ? NOTHING : this.#watch.event(this.#takeHeld());
  }

  #hold(piece: Buffer): BodyVerdict | undefined {
    const { kind, limit } = this.#watch;
    this.#bytes += piece.length;
    if (this.#bytes > limit) {
      const what = kind === 'whole' ? 'the body' : 'an event';
      return { ok: false, rejection: reject('CALL_ANSWER_UNREADABLE', `${what} is longer than ${limit} bytes`) };
    }
    if (piece.length > 0) this.#held.push(piece);
    return undefined;
  }

  #takeHeld(): Buffer {
    const [first] = this.#held;
    const all = this.#held.length === 1 && first !== undefined ? first : Buffer.concat(this.#held);
    this.#held = [];
    this.#bytes = 0;
    return all;
  }

  /** Where the event at hand ends: behind an empty line, which ends with LF, CR or CRLF. */
  #eventEnd(chunk: Buffer, from: number): number | undefined {
    for (let at = from; at < chunk.length; at += 1) {
      const byte = chunk[at];
      if (this.#afterCr) {
        this.#afterCr = false;
        const wasEmpty = this.#lineLength === 0;
        this.#lineLength = 0;
        if (byte === LF) {
          if (wasEmpty) return at + 1;
          continue;
        }
        if (wasEmpty) return at;
      }
      if (byte === CR) this.#afterCr = true;
      else if (byte === LF) {
        const wasEmpty = this.#lineLength === 0;
        this.#lineLength = 0;
        if (wasEmpty) return at + 1;
      } else this.#lineLength += 1;
    }
    return undefined;
  }
}
