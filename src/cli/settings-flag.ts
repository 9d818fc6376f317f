/** `a.b=c` pairs; what is malformed is reported with everything else that is wrong. */
export function readSettings(pairs: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf('=');
      return at < 0 ? [pair, ''] : [pair.slice(0, at), pair.slice(at + 1)];
    }),
  );
}

/** Gathers what a flag that may be repeated is given. */
export function collectSetting(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}
