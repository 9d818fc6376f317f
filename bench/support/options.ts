import { parseArgs } from 'node:util';

/** A number that a benchmark takes from its command line. */
export interface NumberOption {
  readonly byDefault: number;
  readonly text: string;
}

export interface Benchmark<Names extends string> {
  /** As in `npm run bench:<name>`. */
  readonly name: string;
  /** The script of package.json. Default: `bench:<name>`. */
  readonly command?: string;
  /** What is compared with what, and how; printed first. */
  readonly what: string;
  readonly numbers: Readonly<Record<Names, NumberOption>>;
}

export type Options<Names extends string> = Readonly<Record<Names, number>> & { readonly json: boolean };

/** Reads the command line; `--help` prints it and ends the process. */
export function readOptions<Names extends string>({
  name,
  command = `bench:${name}`,
  what,
  numbers,
}: Benchmark<Names>): Options<Names> {
  const known = Object.entries<NumberOption>(numbers);
  const { values } = parseArgs({
    options: {
      help: { type: 'boolean', short: 'h' },
      json: { type: 'boolean' },
      ...Object.fromEntries(known.map(([option]) => [option, { type: 'string' as const }])),
    },
  }) as { values: Record<string, string | boolean | undefined> };
  if (values['help'] === true) {
    const lines = known.map(
      ([option, { byDefault, text }]) => `  --${`${option} <n>`.padEnd(16)} ${text} (default ${byDefault})`,
    );
    console.log(`Usage: npm run ${command} -- [options]\n\n${what}\n`);
    console.log([...lines, `  --${'json'.padEnd(16)} one JSON document on standard output`].join('\n'));
    process.exit(0);
  }
  const chosen = known.map(([option, { byDefault }]) => {
    const given = values[option];
    const value = given === undefined ? byDefault : Number(given);
    if (!Number.isInteger(value) || value < 1) throw new Error(`--${option} takes a whole number from 1`);
    return [option, value];
  });
  const json = values['json'] === true;
  if (!json) console.log(`${what}\n`);
  return { ...(Object.fromEntries(chosen) as Record<Names, number>), json };
}
