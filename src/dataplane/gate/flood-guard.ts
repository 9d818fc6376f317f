import type { Clock } from '../../platform/clock.ts';
import { RateLimit } from '../../platform/rate-limit.ts';
import { ConnectionError } from '../http2/protocol.ts';

/**
 * What one side of a connection may send that costs us more than it costs the sender: a burst, then so many a second.
 * An honest peer stays far below; the rates of resets are those of nghttp2.
 */
const BUDGETS = {
  reset: { burst: 1000, perSecond: 33 },
  refused: { burst: 1000, perSecond: 200 },
  ping: { burst: 200, perSecond: 20 },
  settings: { burst: 64, perSecond: 2 },
  'empty DATA': { burst: 1000, perSecond: 50 },
  'other frame': { burst: 1000, perSecond: 200 },
} as const;
export type Nuisance = keyof typeof BUDGETS;

/** Window updates that may come ahead of what they are for, and for each piece of DATA that went the other way. */
const WINDOW_UPDATES = { ahead: 4096, perPiece: 4, most: 65_536, perSecond: 200 } as const;

/** Pings that may come for each piece of DATA that went the other way: with those gRPC measures what a path can carry. */
const PINGS = { perPiece: 1, most: 1024 } as const;

/** Ends a connection whose one side floods it (RFC 9113, section 10.5). One for each side; it costs nothing until needed. */
export class FloodGuard {
  readonly #clock: Clock;
  readonly #budgets = new Map<Nuisance, RateLimit>();
  #windowUpdates: number = WINDOW_UPDATES.ahead;
  #pings = 0;
  #slow: RateLimit | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @throws ConnectionError ENHANCE_YOUR_CALM when there were too many of these. */
  spend(what: Nuisance): void {
    let budget = this.#budgets.get(what);
    if (budget === undefined) {
      budget = new RateLimit({ ...BUDGETS[what], clock: this.#clock });
      this.#budgets.set(what, budget);
    }
    if (!budget.take()) throw new ConnectionError('ENHANCE_YOUR_CALM', `too many of one kind: ${what}`);
  }

  /** A piece of DATA went to this side: it may say so. */
  earn(): void {
    if (this.#windowUpdates < WINDOW_UPDATES.most) this.#windowUpdates += WINDOW_UPDATES.perPiece;
    if (this.#pings < PINGS.most) this.#pings += PINGS.perPiece;
  }

  /** @throws ConnectionError ENHANCE_YOUR_CALM when there were more than the DATA, or time, can have been for. */
  spendPing(): void {
    if (this.#pings > 0) this.#pings -= 1;
    else this.spend('ping');
  }

  /** @throws ConnectionError ENHANCE_YOUR_CALM when there were more than the DATA can have been for. */
  spendWindowUpdate(): void {
    if (this.#windowUpdates > 0) {
      this.#windowUpdates -= 1;
      return;
    }
    this.#slow ??= new RateLimit({
      burst: WINDOW_UPDATES.perSecond,
      perSecond: WINDOW_UPDATES.perSecond,
      clock: this.#clock,
    });
    if (!this.#slow.take()) throw new ConnectionError('ENHANCE_YOUR_CALM', 'too many of one kind: WINDOW_UPDATE');
  }
}
