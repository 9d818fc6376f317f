import { dirname, resolve } from 'node:path';
import type { Command } from 'commander';
import type { InferenceConfig } from '../inference/config.ts';
import { processOutput, type CommandOutput } from './command-output.ts';
import { writeCredential, type CredentialFlags } from './operator/write-credential.ts';
import { addTargetOptions } from './operator/target-options.ts';

interface ConfigFlags {
  readonly config: string;
  readonly set?: readonly string[];
}

interface InferenceFlags extends ConfigFlags {
  readonly checkConfig?: true;
  readonly configSchema?: true;
  readonly logLevel?: string;
}

const CONFIG = ['-c, --config <file>', 'YAML file; AIT_INFERENCE_* variables and --set go over it'] as const;
const SET = ['--set <path=value>', 'one setting, for example listen=127.0.0.1:0; may be repeated'] as const;

/** Adds `ait inference` and the verbs below it. What they need is imported when they run. */
export function registerInferenceCommand(program: Command, output: CommandOutput = processOutput): void {
  const inference = program
    .command('inference')
    .enablePositionalOptions()
    .description('run the simulated confidential-inference service')
    .option(...CONFIG, 'inference.yaml')
    .option(...SET, collect)
    .option('--log-level <level>', 'trace, debug, info, warn, error, fatal or silent')
    .option('--check-config', 'report all problems of the configuration, then exit: 0 none, 2 some')
    .option('--config-schema', 'print the JSON Schema of the configuration file, then exit')
    .addHelpText(
      'after',
      `
No model and no hardware stands behind it, and everything that it says tells so. It logs JSON lines to standard output;
"inference_ready" says where it listens. It stops on SIGTERM, after answers under way have finished (timing.drain).

Examples:
  ait inference describe --config inference.yaml --policy --agent planner
  ait inference credential default --out inference.credential
  ait inference --config inference.yaml`,
    )
    .action((flags: InferenceFlags) => runInference(flags, output));
  inference
    .command('describe')
    .description('tell what the service proves of itself, for its approval; asks nobody')
    .option(...CONFIG, 'inference.yaml')
    .option(...SET, collect)
    .option('--json', 'print JSON, with the launch manifest')
    .option('--policy', 'print the policy that approves it')
    .option('--name <name>', 'with --policy: name of the service', 'default')
    .option('--agent <name>', 'with --policy: an agent that may use it; may be repeated', collect)
    .option('--accept-simulated-evidence', 'with --policy: accept that nothing is proven; for development')
    .action((flags: DescribeFlags) => describeInference(flags, output));
  addTargetOptions(inference.command('credential'))
    .description('make a join credential for an inference service; it is shown once')
    .argument('<name>', 'the name of the service, as in the id of its InferenceService')
    .option('--uses <count>', 'how often the service may start with it: a number, or unlimited (default 100)')
    .option('--expires <duration>', 'how long it may be used, for example 12h or 30d (default 30d)')
    .option(
      '--advertise <host:port>',
      'address of the authority that it carries (default: what the authority advertises)',
    )
    .option('--out <file>', 'write it there, readable to you alone, instead of to the terminal')
    .action((name: string, flags: CredentialFlags) => writeCredential({ inference: name }, flags));
}

async function runInference(flags: InferenceFlags, output: CommandOutput): Promise<void> {
  if (flags.configSchema === true) {
    const { default: schema } = await import('../../docs/reference/inference-config.schema.json', {
      with: { type: 'json' },
    });
    output.print(JSON.stringify(schema, null, 2));
    return;
  }
  const file = resolve(flags.config);
  const config = await readConfig(flags, { log_level: flags.logLevel });
  if (flags.checkConfig === true) {
    output.print(`${file}: in order`);
    return;
  }
  const [{ startInferenceService }, { createLogger }, { VERSION }, { stopSignals }] = await Promise.all([
    import('../inference/inference-service.ts'),
    import('../platform/logger.ts'),
    import('./version.ts'),
    import('./until-signal.ts'),
  ]);
  const logger = createLogger({ name: 'inference', level: config.log_level });
  const { first, second } = stopSignals();
  const starting = new AbortController();
  void first.then((signal) => starting.abort(new Error(`stopped by ${signal}`)));
  let service;
  try {
    service = await startInferenceService({ config, folder: dirname(file), logger, version: VERSION }, starting.signal);
  } catch (error) {
    if (!starting.signal.aborted) throw error;
    // Asked to stop before it was up: what had been started is stopped again, and nothing has failed.
    logger.info('inference_stopped', { reason: await first });
    return;
  }
  logger.info('stopping', { signal: await first });
  await service.stop({ deadlineMs: config.timing.drain + STOP_MARGIN_MS, now: second });
}

/** On top of the drain, for all that is closed after it. */
const STOP_MARGIN_MS = 5_000;

interface DescribeFlags extends ConfigFlags {
  readonly json?: true;
  readonly policy?: true;
  readonly name: string;
  readonly agent?: readonly string[];
  readonly acceptSimulatedEvidence?: true;
}

async function describeInference(flags: DescribeFlags, output: CommandOutput): Promise<void> {
  const [{ describeService, policyFor }, { VERSION }] = await Promise.all([
    import('../inference/description.ts'),
    import('./version.ts'),
  ]);
  const config = await readConfig(flags, {});
  const described = await describeService({ config, folder: dirname(resolve(flags.config)), version: VERSION });
  const { measurement, evidenceRoot, manifest } = described;
  if (flags.policy === true) {
    const { name, agent: agents = [], acceptSimulatedEvidence: acceptSimulated = false } = flags;
    output.print(policyFor(described, { name, agents, acceptSimulated }).trimEnd());
  } else if (flags.json === true) {
    output.print(JSON.stringify({ measurement, evidence_root: evidenceRoot, simulated: true, manifest }));
  } else {
    output.print(`measurement    ${measurement}`);
    output.print(`evidence root  ${evidenceRoot}   SIMULATED: it proves nothing about hardware`);
  }
}

async function readConfig(
  flags: ConfigFlags,
  more: Readonly<Record<string, string | undefined>>,
): Promise<InferenceConfig> {
  const [{ inferenceConfigSchema, INFERENCE_ENV_PREFIX }, { loadConfig }, { environment }] = await Promise.all([
    import('../inference/config.ts'),
    import('../platform/config-source.ts'),
    import('../platform/environment.ts'),
  ]);
  return loadConfig({
    schema: inferenceConfigSchema,
    file: resolve(flags.config),
    env: environment,
    envPrefix: INFERENCE_ENV_PREFIX,
    flags: { ...settings(flags.set ?? []), ...more },
    flagName: (path) => `--set ${path}`,
  });
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
