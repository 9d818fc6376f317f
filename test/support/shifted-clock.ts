/**
 * Arguments for Node.js that make one process believe another time: `Date.now()` and `new Date()` are off by so much.
 * The monotonic clock stays as it is, as it does on a machine whose wall clock was set wrong.
 */
export function shiftedClock(byMs: number): readonly string[] {
  const preload = `
    const Real = Date;
    globalThis.Date = class extends Real {
      constructor(...args) {
        if (args.length > 0) super(...args);
        else super(Real.now() + ${byMs});
      }
      static now() {
        return Real.now() + ${byMs};
      }
    };`;
  return ['--import', `data:text/javascript,${encodeURIComponent(preload)}`];
}
