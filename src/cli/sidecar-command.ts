import { dirname, resolve } from 'node:path';
import type { Command } from 'commander';
import { processOutput, type CommandOutput } from './command-output.ts';

interface SidecarFlags {
  readonly config: string;
  readonly checkConfig?: true;
  readonly configSchema?: true;
  readonly set?: readonly string[];
  readonly logLevel?: string;
}

/** Adds `ait sidecar`. What it needs is imported when it runs. */
export function registerSidecarCommand(program: Command, output: CommandOutput = processOutput): void {
  program
    .command('sidecar')
    .description('run the sidecar of one agent')
    .option('-c, --config <file>', 'YAML file; AIT_SIDECAR_* variables and --set go over it', 'sidecar.yaml')
    .option('--set <path=value>', 'one setting, for example metrics.listen=127.0.0.1:0; may be repeated', collect)
    .option('--log-level <level>', 'trace, debug, info, warn, error, fatal or silent')
    .option('--check-config', 'report all problems of the configuration, then exit: 0 none, 2 some')
    .option('--config-schema', 'print the JSON Schema of the configuration file, then exit')
    .addHelpText(
      'after',
      `
The sidecar logs JSON lines to standard output; "sidecar_ready" says where everything listens. It stops on SIGTERM,
after open connections have finished (timing.drain). Why something was refused: ait explain <agent>.

Examples:
  ait sidecar --config planner/sidecar.yaml --check-config
  ait sidecar --config planner/sidecar.yaml --set metrics.listen=127.0.0.1:0`,
    )
    .action((flags: SidecarFlags) => runSidecar(flags, output));
}

async function runSidecar(flags: SidecarFlags, output: CommandOutput): Promise<void> {
  if (flags.configSchema === true) {
    const { default: schema } = await import('../../docs/reference/sidecar-config.schema.json', {
      with: { type: 'json' },
    });
    output.print(JSON.stringify(schema, null, 2));
    return;
  }
  const { preferSmallHeap } = await import('../sidecar/small-heap.ts');
  preferSmallHeap();
  const [{ sidecarConfigSchema, SIDECAR_ENV_PREFIX }, { loadConfig }, { environment }] = await Promise.all([
    import('../sidecar/config.ts'),
    import('../platform/config-source.ts'),
    import('../platform/environment.ts'),
  ]);
  const file = resolve(flags.config);
  const config = loadConfig({
    schema: sidecarConfigSchema,
    file,
    env: environment,
    envPrefix: SIDECAR_ENV_PREFIX,
    flags: { ...settings(flags.set ?? []), log_level: flags.logLevel },
    flagName: (path) => `--set ${path}`,
  });
  if (flags.checkConfig === true) {
    output.print(`${file}: in order`);
    return;
  }
  const [{ createSidecar }, { createLogger }, { VERSION }, { untilSignal }] = await Promise.all([
    import('../sidecar/sidecar.ts'),
    import('../platform/logger.ts'),
    import('./version.ts'),
    import('./until-signal.ts'),
  ]);
  const logger = createLogger({ name: 'sidecar', level: config.log_level });
  const sidecar = createSidecar({ config, folder: dirname(file), logger, version: VERSION });
  const starting = new AbortController();
  const stopped = untilSignal();
  void stopped.then((signal) => starting.abort(new Error(`stopped by ${signal}`)));
  try {
    await sidecar.start(starting.signal);
  } catch (error) {
    if (!starting.signal.aborted) throw error;
    // Asked to stop before it was up: what had been started is stopped again, and nothing has failed.
    logger.info('sidecar_stopped', { signal: await stopped });
    return;
  }
  logger.info('stopping', { signal: await stopped });
  await sidecar.stop();
}

/** `a.b=c` pairs; what is malformed is reported with everything else that is wrong. */
function settings(pairs: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf('=');
      return at < 0 ? [pair, ''] : [pair.slice(0, at), pair.slice(at + 1)];
    }),
  );
}

function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}
