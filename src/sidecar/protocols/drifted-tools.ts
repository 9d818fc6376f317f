import type { SpiffeId } from '../../domain/agent-id.ts';
import { sameTools, type ToolsDigest } from '../../domain/measurement.ts';
import type { Clock } from '../../platform/clock.ts';

/** How long what an instance showed counts unless it shows otherwise, in ms. As for our own agent. */
const STICKY_MS = 60_000;
/** Instances kept; beyond that the oldest is forgotten, and found again when it shows itself again. */
const MAX_KEPT = 1024;

interface Shown {
  readonly tools: ToolsDigest | null;
  /** Monotonic. */
  readonly until: number;
}

/**
 * Tools that instances of peers showed in their own answers and that are not the approved ones: in use beats at rest, for
 * others as for ourselves. Admission judges an instance by them for {@link STICKY_MS}, so that whoever lost its sessions for
 * it does not get the next one at once.
 */
export class DriftedTools {
  readonly #clock: Clock;
  readonly #shown = new Map<string, Shown>();

  constructor({ clock }: { readonly clock: Clock }) {
    this.#clock = clock;
  }

  /** What an instance is judged by; `undefined`: by what it measures. */
  readonly find = (peer: SpiffeId, instance: string): ToolsDigest | null | undefined => {
    const shown = this.#shown.get(keyOf(peer, instance));
    return shown === undefined || this.#clock.monotonic() >= shown.until ? undefined : shown.tools;
  };

  /** @returns whether that is news */
  note(peer: SpiffeId, instance: string, tools: ToolsDigest | null): boolean {
    const before = this.find(peer, instance);
    const key = keyOf(peer, instance);
    this.#shown.delete(key);
    this.#shown.set(key, { tools, until: this.#clock.monotonic() + STICKY_MS });
    const [oldest] = this.#shown.keys();
    if (this.#shown.size > MAX_KEPT && oldest !== undefined) this.#shown.delete(oldest);
    return before === undefined || !sameTools(before, tools);
  }

  /** A whole list that is as approved. @returns whether another stood */
  clear(peer: SpiffeId, instance: string): boolean {
    const stood = this.find(peer, instance) !== undefined;
    this.#shown.delete(keyOf(peer, instance));
    return stood;
  }

  /** An operator's word for all of them. @returns whether any stood */
  clearAll(): boolean {
    const now = this.#clock.monotonic();
    const stood = [...this.#shown.values()].some(({ until }) => now < until);
    this.#shown.clear();
    return stood;
  }
}

function keyOf(peer: SpiffeId, instance: string): string {
  return `${peer} ${instance}`;
}
