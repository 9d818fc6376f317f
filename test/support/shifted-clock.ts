export interface ClockShift {
  /** How far off the clock is from the start, in ms. Default 0. */
  readonly atStartMs?: number;
  /** How far off it is after each odd SIGUSR2, in ms; an even one puts it back. Default 0. */
  readonly onSignalMs?: number;
}

/**
 * Arguments for Node.js that make one process believe another time: `Date.now()` and `new Date()` are off by so much.
 * The monotonic clock stays as it is, as it does on a machine whose wall clock was set wrong. A signal sets it while the
 * process runs.
 */
export function shiftedClock({ atStartMs = 0, onSignalMs = 0 }: ClockShift): readonly string[] {
  const preload = `
    const Real = Date;
    let [shift, other] = [${atStartMs}, ${onSignalMs}];
    process.on('SIGUSR2', () => ([shift, other] = [other, shift]));
    globalThis.Date = class extends Real {
      constructor(...args) {
        if (args.length > 0) super(...args);
        else super(Real.now() + shift);
      }
      static now() {
        return Real.now() + shift;
      }
    };`;
  return ['--import', `data:text/javascript,${encodeURIComponent(preload)}`];
}
