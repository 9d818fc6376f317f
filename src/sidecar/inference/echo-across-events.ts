import type { JsonObject, JsonValue } from '../../domain/canonical/strict-json.ts';
import type { KeyEcho } from './key-echo.ts';

/** So much of the key may stand at the end of a text before it is held back: as keys of one vendor begin, so do many words. */
const HARMLESS = 4;
/** What holds back a stream for longer, in characters, is no key in pieces: pieces of an echo follow each other. */
const MAX_HELD = 64 * 1024;
/** Texts of one answer that end with what the key begins with. */
const MAX_OPEN = 1000;

/**
 * Keeps a key from an agent that comes in pieces, as models give their texts: events after which a text ends with the
 * beginning of the key wait until it goes on otherwise.
 */
export class EchoAcrossEvents {
  readonly #echo: KeyEcho;
  /** By the place of a text within its events: how much of the key it ends with. Never 0. */
  readonly #open = new Map<string, number>();
  #held = '';

  constructor(echo: KeyEcho) {
    this.#echo = echo;
  }

  /**
   * @param written the event as it goes to the agent.
   * @param message what it says; `undefined` for one that carries no text.
   * @param isLast nothing comes after it: then nothing can go on.
   * @returns what may go to the agent now; `undefined`: with this event the key would be whole
   */
  pass(written: string, message: JsonObject | undefined, isLast: boolean): string | undefined {
    if (message !== undefined && !this.#follow(message, '')) return undefined;
    if (isLast || !this.#isNear()) return this.#release(written);
    if (this.#held.length + written.length > MAX_HELD) {
      this.#open.clear();
      return this.#release(written);
    }
    this.#held += written;
    return '';
  }

  #release(written: string): string {
    const released = this.#held === '' ? written : this.#held + written;
    this.#held = '';
    return released;
  }

  #isNear(): boolean {
    for (const matched of this.#open.values()) if (matched >= HARMLESS) return true;
    return false;
  }

  /** @returns false: the key is whole */
  #follow(value: JsonValue | undefined, place: string): boolean {
    if (typeof value === 'string') return this.#piece(value, place);
    if (typeof value !== 'object' || value === null) return true;
    if (Array.isArray(value)) return value.every((each, at) => this.#follow(each, `${place}/${placeOf(each, at)}`));
    return Object.entries(value as JsonObject).every(([name, each]) => this.#follow(each, `${place}/${name}`));
  }

  #piece(text: string, place: string): boolean {
    const before = this.#open.get(place) ?? 0;
    const matched = this.#echo.follow(before, text);
    if (matched === undefined) return false;
    if (matched > 0) this.#open.set(place, matched);
    else if (before > 0) this.#open.delete(place);
    return this.#open.size <= MAX_OPEN;
  }
}

/** Choices and calls of tools say themselves which one they go on with. */
function placeOf(value: JsonValue, at: number): number {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return at;
  const { index } = value as JsonObject;
  return typeof index === 'number' ? index : at;
}
