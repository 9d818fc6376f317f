import { MeshError } from './mesh-error.ts';

const UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const DURATION = /^([0-9]{1,9})(ms|s|m|h|d)$/;

/**
 * Reads a duration as people write it in files and flags: a whole number and one unit, `250ms`, `10s`, `5m`, `1h`,
 * `30d`. No fractions, signs, spaces or sums.
 *
 * @returns milliseconds, 0 or more.
 * @throws MeshError `DURATION_INVALID`
 */
export function parseDuration(text: string): number {
  const [, count, unit] = DURATION.exec(text) ?? [];
  if (count === undefined || unit === undefined) {
    throw new MeshError('DURATION_INVALID', `"${text.slice(0, 40)}" is not a duration`, {
      hint: 'write a whole number and a unit: 250ms, 10s, 5m, 1h or 30d',
    });
  }
  return Number(count) * UNITS[unit as keyof typeof UNITS];
}
