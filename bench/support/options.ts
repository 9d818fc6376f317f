import { parseArgs } from 'node:util';

/** A number that a benchmark takes from its command line. */
export interface NumberOption {
  readonly byDefault: number;
  readonly text: string;
}

export interface Benchmark<Names extends string, Parts extends string> {
  /** As in `npm run bench:<name>`. */
  readonly name: string;
  /** The script of package.json. Default: `bench:<name>`. */
  readonly command?: string;
  /** What is compared with what, and how; printed first. */
  readonly what: string;
  readonly numbers: Readonly<Record<Names, NumberOption>>;
  /** What it measures, each of which `--only` can choose; without any there is no such option. */
  readonly parts?: Readonly<Record<Parts, string>>;
}

export type Options<Names extends string, Parts extends string = never> = Readonly<Record<Names, number>> & {
  readonly json: boolean;
  /** The parts to measure, in their own order. Default: all. */
  readonly only: readonly Parts[];
};

/** Reads the command line; `--help` prints it and ends the process. */
export function readOptions<Names extends string, Parts extends string = never>({
  name,
  command = `bench:${name}`,
  what,
  numbers,
  parts,
}: Benchmark<Names, Parts>): Options<Names, Parts> {
  const known = Object.entries<NumberOption>(numbers);
  const allParts = Object.keys(parts ?? {}) as Parts[];
  const { values } = parseArgs({
    options: {
      help: { type: 'boolean', short: 'h' },
      json: { type: 'boolean' },
      ...(parts !== undefined && { only: { type: 'string' as const } }),
      ...Object.fromEntries(known.map(([option]) => [option, { type: 'string' as const }])),
    },
  }) as { values: Record<string, string | boolean | undefined> };
  if (values['help'] === true) {
    const lines = known.map(
      ([option, { byDefault, text }]) => `  --${`${option} <n>`.padEnd(16)} ${text} (default ${byDefault})`,
    );
    console.log(`Usage: npm run ${command} -- [options]\n\n${what}\n`);
    if (parts !== undefined) {
      lines.push(`  --${'only <parts>'.padEnd(16)} some of these, with commas between (default all)`);
      for (const [part, text] of Object.entries<string>(parts)) lines.push(`      ${part.padEnd(14)} ${text}`);
    }
    console.log([...lines, `  --${'json'.padEnd(16)} one JSON document on standard output`].join('\n'));
    process.exit(0);
  }
  const chosen = known.map(([option, { byDefault }]) => {
    const given = values[option];
    const value = given === undefined ? byDefault : Number(given);
    if (!Number.isInteger(value) || value < 1) throw new Error(`--${option} takes a whole number from 1`);
    return [option, value];
  });
  const named = typeof values['only'] === 'string' ? values['only'].split(',') : allParts;
  const stranger = named.find((part) => !allParts.some((one) => one === part));
  if (stranger !== undefined) throw new Error(`--only ${stranger}: the parts are ${allParts.join(', ')}`);
  const only = allParts.filter((part) => named.includes(part));
  const json = values['json'] === true;
  if (!json) console.log(`${what}\n`);
  return { ...(Object.fromEntries(chosen) as Record<Names, number>), json, only };
}
