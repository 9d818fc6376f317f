import type { Duplex } from 'node:stream';

/** One end of a tunnel: a stream, and the way to end it so that the other side cannot read on. */
export interface TunnelEnd {
  readonly stream: Duplex;
  /** Ends the connection at once with a reset; bytes not yet delivered are lost on purpose. */
  reset(): void;
}

export type TunnelOutcome = 'finished' | 'reset';

/** Sees each chunk on its way. */
export type Tap = (chunk: Buffer) => void;

export interface TunnelTaps {
  readonly fromA: Tap;
  readonly fromB: Tap;
}

/** One end is gone: so long may the other take to get rid of what it still has to deliver, milliseconds. */
const LINGER_MS = 5000;

/**
 * Carries bytes both ways as they are. Half-close, backpressure and errors of either side pass through to the other;
 * nothing is buffered beyond the two streams' own high-water marks. Both streams must allow half-open connections.
 *
 * @returns how it ended, when both ends are closed; never rejects.
 */
export function tunnel(a: TunnelEnd, b: TunnelEnd, taps?: TunnelTaps): Promise<TunnelOutcome> {
  return new Promise((resolve) => {
    const closed = new Set<TunnelEnd>();
    let failed = false;
    let lingering: NodeJS.Timeout | undefined;
    let patience: NodeJS.Timeout | undefined;
    const over = () => {
      clearTimeout(lingering);
      clearTimeout(patience);
      resolve(failed ? 'reset' : 'finished');
    };
    /** One end broke: what it said before is let out, then the other learns of it in kind. */
    const fail = (broken: TunnelEnd, other: TunnelEnd) => {
      if (failed) return;
      failed = true;
      broken.reset();
      const passOn = () => {
        clearTimeout(patience);
        other.reset();
      };
      patience = setTimeout(passOn, LINGER_MS);
      if (other.stream.writable) other.stream.write('', passOn);
      else passOn();
    };
    for (const [end, other, tap] of [
      [a, b, taps?.fromA],
      [b, a, taps?.fromB],
    ] as const) {
      end.stream.on('error', () => fail(end, other));
      end.stream.once('close', () => {
        // A stream that closes without having ended both ways was cut off; the other side must learn of it.
        if (!end.stream.readableEnded || !end.stream.writableFinished) fail(end, other);
        closed.add(end);
        if (closed.size === 2) over();
        else lingering ??= setTimeout(() => fail(end, other), LINGER_MS);
      });
      pump(end.stream, other.stream, tap);
    }
    // One that was destroyed before may have said so already.
    for (const end of [a, b]) if (end.stream.destroyed) closed.add(end);
    if (a.stream.destroyed) fail(a, b);
    else if (b.stream.destroyed) fail(b, a);
    if (closed.size === 2) over();
  });
}

/** As `from.pipe(to)`, with a tap; and a way that we ended ourselves takes nothing more, which is no error. */
function pump(from: Duplex, to: Duplex, tap?: Tap): void {
  from.on('data', (chunk: Buffer) => {
    tap?.(chunk);
    if (to.writableEnded || to.destroyed) return;
    if (!to.write(chunk)) from.pause();
  });
  to.on('drain', () => from.resume());
  to.once('close', () => from.pause());
  // Whoever had nothing to say at all may have said so before.
  if (from.readableEnded) to.end();
  else from.once('end', () => to.end());
  if (to.writableNeedDrain) from.pause();
  else from.resume();
}
