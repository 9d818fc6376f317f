import { dirname, resolve } from 'node:path';
import type { Command } from 'commander';
import { processOutput, type CommandOutput } from './command-output.ts';
import { collectSetting, readSettings } from './settings-flag.ts';
import { registerLifecycleVerbs } from './sidecar/lifecycle-verbs.ts';

interface SidecarFlags {
  readonly config: string;
  readonly checkConfig?: true;
  readonly configSchema?: true;
  readonly set?: readonly string[];
  readonly logLevel?: string;
}

/** Adds `ait sidecar` and the verbs below it. What they need is imported when they run. */
export function registerSidecarCommand(program: Command, output: CommandOutput = processOutput): void {
  // What stands behind a verb is the verb's: its --config is not the process's.
  program.enablePositionalOptions();
  const sidecar = program
    .command('sidecar')
    .enablePositionalOptions()
    .description('run the sidecar of one agent')
    .option('-c, --config <file>', 'YAML file; AIT_SIDECAR_* variables and --set go over it', 'sidecar.yaml')
    .option(
      '--set <path=value>',
      'one setting, for example metrics.listen=127.0.0.1:0; may be repeated',
      collectSetting,
    )
    .option('--log-level <level>', 'trace, debug, info, warn, error, fatal or silent')
    .option('--check-config', 'report all problems of the configuration, then exit: 0 none, 2 some')
    .option('--config-schema', 'print the JSON Schema of the configuration file, then exit')
    .addHelpText(
      'after',
      `
The sidecar logs JSON lines to standard output; "sidecar_ready" says where everything listens. It stops on SIGTERM,
after open connections have finished (timing.drain), and at once when asked a second time. SIGHUP, or a change of the
file, has the configuration read again. Why something was refused: ait explain <agent>.

Examples:
  ait sidecar --config planner/sidecar.yaml --check-config
  ait sidecar --config planner/sidecar.yaml --set metrics.listen=127.0.0.1:0`,
    )
    .action((flags: SidecarFlags) => runSidecar(flags, output));
  registerLifecycleVerbs(sidecar, output);
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
  const load = () =>
    loadConfig({
      schema: sidecarConfigSchema,
      file,
      env: environment,
      envPrefix: SIDECAR_ENV_PREFIX,
      flags: { ...readSettings(flags.set ?? []), log_level: flags.logLevel },
      flagName: (path) => `--set ${path}`,
    });
  const config = load();
  if (flags.checkConfig === true) {
    output.print(`${file}: in order`);
    return;
  }
  const [{ createSidecar }, { createLogger }, { VERSION }, { stopSignals }] = await Promise.all([
    import('../sidecar/sidecar.ts'),
    import('../platform/logger.ts'),
    import('./version.ts'),
    import('./until-signal.ts'),
  ]);
  const logger = createLogger({ name: 'sidecar', level: config.log_level });
  const sidecar = createSidecar({ config, folder: dirname(file), source: { file, load }, logger, version: VERSION });
  const starting = new AbortController();
  const { first, second } = stopSignals();
  const stopped: Promise<string> = Promise.race([first, sidecar.quitRequested.then(() => 'a request to quit')]);
  void stopped.then((reason) => starting.abort(new Error(`stopped by ${reason}`)));
  // Until the end: a SIGHUP that nobody takes ends a process, also one that is draining.
  process.on('SIGHUP', () => void sidecar.reload());
  try {
    await sidecar.start(starting.signal);
  } catch (error) {
    if (!starting.signal.aborted) throw error;
    // Asked to stop before it was up: what had been started is stopped again, and nothing has failed.
    logger.info('sidecar_stopped', { reason: await stopped });
    return;
  }
  logger.info('stopping', { reason: await stopped });
  await sidecar.stop(second);
}
