import { rejection } from '../../domain/rejection.ts';
import { CallRefused } from './call-refused.ts';

/** As deep as texts are quoted within texts, each time doubling what escapes: tool arguments are JSON within JSON. */
const ESCAPES = '\\\\{1,8}';
const BASE64_BITS = 6;
const BYTE_BITS = 8;

/**
 * Knows the provider's key again, as servers repeat it: as it is, escaped in JSON, percent-encoded, each of these in part,
 * and within base64, such as that of a whole header. What a server shortens, or encodes otherwise on purpose, it does not
 * know; a provider that wants to hand its key to somebody needs no sidecar for that.
 */
export class KeyEcho {
  readonly #key: string;
  readonly #pattern: RegExp;
  /** Of each beginning of the key: how much of its end begins the key, too (Knuth, Morris and Pratt). */
  readonly #fallback: Uint16Array;

  /** @param key printable ASCII without blanks, at most 4096 characters. */
  constructor(key: string) {
    this.#key = key;
    this.#pattern = new RegExp([Array.from(key, escaped).join(''), ...base64Patterns(key)].join('|'));
    this.#fallback = new Uint16Array(key.length);
    for (let at = 1; at < key.length; at += 1) {
      this.#fallback[at] = this.#step(this.#fallback[at - 1] ?? 0, key.charCodeAt(at));
    }
  }

  /** Whether the whole key is in a text. */
  isIn(text: string): boolean {
    return this.#pattern.test(text);
  }

  /**
   * The same for a text in pieces.
   *
   * @param matched how much of the key the pieces before end with: 0 at first.
   * @returns how much of it they end with now; `undefined`: the whole of it was there
   */
  follow(matched: number, piece: string): number | undefined {
    let length = matched;
    for (let at = 0; at < piece.length; at += 1) {
      length = this.#step(length, piece.charCodeAt(at));
      if (length === this.#key.length) return undefined;
    }
    return length;
  }

  #step(matched: number, code: number): number {
    let length = matched;
    while (length > 0 && this.#key.charCodeAt(length) !== code) length = this.#fallback[length - 1] ?? 0;
    return this.#key.charCodeAt(length) === code ? length + 1 : length;
  }
}

/**
 * Fails closed: an answer that repeats the sidecar's key is not corrected, because who repeats it in one place may do so in
 * others, and whoever has to issue another key must hear of it.
 *
 * @param text what would be looked at, or go on, next.
 * @throws CallRefused
 */
export function throwEchoed({ echo }: { readonly echo?: KeyEcho }, text: string): void {
  if (echo?.isIn(text) === true) throw keyEchoed("the key that the sidecar had sent was in the provider's answer");
}

export function keyEchoed(detail: string): CallRefused {
  return new CallRefused(rejection('INFERENCE_KEY_ECHOED', detail));
}

/** One character, in each way in which it may be written. */
function escaped(character: string): string {
  const hex = character.charCodeAt(0).toString(16).padStart(2, '0');
  const digits = Array.from(hex, (digit) => (/[a-f]/.test(digit) ? `[${digit}${digit.toUpperCase()}]` : digit)).join(
    '',
  );
  const plain = `\\x${hex}`;
  return `(?:${plain}|${ESCAPES}(?:${plain}|u00${digits})|%(?:25)?${digits})`;
}

/** Letters that the alphabet for URLs replaces, and that JSON may escape. */
const IN_BASE64: Readonly<Record<string, string>> = { '+': `(?:-|${escaped('+')})`, '/': `(?:_|${escaped('/')})` };

/**
 * What of a base64 (RFC 4648, of both alphabets) hangs on the key alone, for each of the three places at which the key
 * can begin in it.
 */
function base64Patterns(key: string): string[] {
  return [0, 1, 2].map((before) => {
    const text = Buffer.from(`${' '.repeat(before)}${key}`).toString('base64');
    const from = Math.ceil((before * BYTE_BITS) / BASE64_BITS);
    const to = Math.floor(((before + key.length) * BYTE_BITS) / BASE64_BITS);
    return Array.from(text.slice(from, to), (letter) => IN_BASE64[letter] ?? letter).join('');
  });
}
