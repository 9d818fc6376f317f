import type { Channel } from './channel.ts';

/** How long a connection may wait for work before it is closed, ms. */
const IDLE_MS = 15_000;
const LOOK_MS = 1000;

/** Every pool with connections in it: one timer looks after all. */
const waiting = new Set<ChannelPool>();
let looking: NodeJS.Timeout | undefined;

/** The connections to one callee that wait for work. The one that was used last is used first, so that surplus ones age. */
export class ChannelPool {
  readonly #idle: Channel[] = [];
  readonly #mayUse: (channel: Channel) => boolean;

  /** @param mayUse whether requests may still go there; asked every second, and those that may not are closed */
  constructor(mayUse: (channel: Channel) => boolean) {
    this.#mayUse = mayUse;
  }

  put(channel: Channel): void {
    this.#idle.push(channel);
    waiting.add(this);
    looking ??= setInterval(lookAtAll, LOOK_MS).unref();
  }

  take(): Channel | undefined {
    for (;;) {
      const channel = this.#idle.pop();
      if (channel === undefined || channel.ready) return channel;
    }
  }

  /** Closes those that have waited for too long, or may not be used any more. @returns whether any is left */
  tidy(): boolean {
    const kept = this.#idle.filter((channel) => {
      if (!channel.ready) return false;
      if (channel.idleMs < IDLE_MS && this.#mayUse(channel)) return true;
      channel.close();
      return false;
    });
    this.#idle.splice(0, Infinity, ...kept);
    return kept.length > 0;
  }
}

function lookAtAll(): void {
  for (const pool of waiting) if (!pool.tidy()) waiting.delete(pool);
  if (waiting.size > 0) return;
  clearInterval(looking);
  looking = undefined;
}
