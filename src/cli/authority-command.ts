import { dirname, resolve } from 'node:path';
import type { Command } from 'commander';
import type { AuthorityConfig } from '../authority/config.ts';
import { addTargetOptions, type TargetFlags } from './operator/target-options.ts';
import { writeCredential, type CredentialFlags } from './operator/write-credential.ts';

/**
 * Adds `ait authority` and `ait agent credential` to the program. What they need is imported when they run, so that
 * `ait --help` does not pay for it.
 */
export function registerAuthorityCommands(program: Command): void {
  program
    .command('authority')
    .description('run the control plane: certificates, tokens, signed state')
    .option('-c, --config <file>', 'YAML file; AIT_AUTHORITY_* variables and the flags below go over it')
    .option('--check-config', 'report all problems of the configuration and the policy directory, then exit')
    .option('--trust-domain <name>', 'name of the mesh, for example acme.example')
    .option('--listen <host:port>', 'gRPC address (default 127.0.0.1:17100)')
    .option('--advertise <host:port>', 'address that join credentials carry (default: the one that is bound)')
    .option('--state-dir <directory>', 'where keys and state are kept (default /var/lib/ait/authority)')
    .option('--policy-dir <directory>', 'YAML files with agents, baselines, grants and revocations')
    .option('--operators-listen <host:port>', "operators' port (default 127.0.0.1:17102)")
    .option('--metrics-listen <host:port>', 'metrics and probes (default 127.0.0.1:17190)')
    .option('--log-level <level>', 'trace, debug, info, warn, error, fatal or silent')
    .addHelpText(
      'after',
      '\nOn SIGHUP it reads the policy directory again, and the log level out of the configuration.',
    )
    .action(runAuthority);

  const agent =
    program.commands.find((command) => command.name() === 'agent') ??
    program.command('agent').description('look after agents');
  addTargetOptions(agent.command('credential'))
    .description('make a join credential for the sidecars of an agent; it is shown once')
    .argument('<agent>', "the agent's name or SPIFFE ID")
    .option('--uses <count>', 'how often an instance may start with it: a number, or unlimited (default 100)')
    .option('--expires <duration>', 'how long it may be used, for example 12h or 30d (default 30d)')
    .option(
      '--advertise <host:port>',
      'address of the authority that it carries (default: what the authority advertises)',
    )
    .option('--out <file>', 'write it there, readable to you alone, instead of to the terminal')
    .addHelpText(
      'after',
      `
Each start of a sidecar is one use. ait agent credentials shows what is left.

Examples:
  ait agent credential planner --out planner/join.credential
  ait agent credential planner --uses unlimited --expires 7d --out planner/join.credential`,
    )
    .action((name: string, flags: CredentialFlags) => writeCredential({ agent: name }, flags));
  addTargetOptions(agent.command('credentials'))
    .description('list join credentials with the uses and the time that are left; never their secrets')
    .argument('[agent]', 'only those of this agent: its name or SPIFFE ID')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Exit codes: 0 there are some, 3 there are none, 5 the authority does not answer.

Examples:
  ait agent credentials
  ait agent credentials planner --json`,
    )
    .action(async (name: string | undefined, flags: TargetFlags & { readonly json?: true }) => {
      const { listCredentials } = await import('./operator/list-credentials.ts');
      await listCredentials(name, flags);
    });
}

interface AuthorityFlags {
  readonly config?: string;
  readonly checkConfig?: true;
  readonly trustDomain?: string;
  readonly listen?: string;
  readonly advertise?: string;
  readonly stateDir?: string;
  readonly policyDir?: string;
  readonly operatorsListen?: string;
  readonly metricsListen?: string;
  readonly logLevel?: string;
}

async function runAuthority(flags: AuthorityFlags): Promise<void> {
  const config = await readConfig(flags);
  if (flags.checkConfig === true) {
    await checkPolicy(config);
    return;
  }
  const [{ startAuthority }, { createLogger }, { untilSignal }] = await Promise.all([
    import('../authority/authority.ts'),
    import('../platform/logger.ts'),
    import('./until-signal.ts'),
  ]);
  const logger = createLogger({ name: 'authority', level: config.log_level });
  const authority = await startAuthority({ config, logger });
  // Policy and log level are what can change while it runs.
  process.on('SIGHUP', () => {
    void authority.policy.reload();
    readConfig(flags).then(
      ({ log_level: level }) => {
        logger.level = level;
        logger.info('config_applied', { log_level: level });
      },
      (error: unknown) => logger.error('config_refused', { error, action: 'correct the file; nothing has changed' }),
    );
  });
  const signal = await untilSignal();
  logger.info('stopping', { signal });
  await authority.stop({ deadlineMs: 5_000 });
}

async function readConfig(flags: AuthorityFlags): Promise<AuthorityConfig> {
  const [{ AuthorityConfigSchema, AUTHORITY_ENV_PREFIX }, { resolveClusterPaths }, { loadConfig }, { environment }] =
    await Promise.all([
      import('../authority/config.ts'),
      import('../authority/kubernetes/kubernetes-config.ts'),
      import('../platform/config-source.ts'),
      import('../platform/environment.ts'),
    ]);
  const config = loadConfig({
    schema: AuthorityConfigSchema,
    ...(flags.config !== undefined && { file: flags.config }),
    env: environment,
    envPrefix: AUTHORITY_ENV_PREFIX,
    flagName: (path) => `--${path.replaceAll('_', '-')}`,
    flags: {
      trust_domain: flags.trustDomain,
      listen: flags.listen,
      advertise: flags.advertise,
      state_dir: flags.stateDir,
      policy_dir: flags.policyDir,
      operators_listen: flags.operatorsListen,
      metrics_listen: flags.metricsListen,
      log_level: flags.logLevel,
    },
  });
  // What stands in the file is meant from where the file is, as in a sidecar's; what was typed, from here.
  const folder = flags.config === undefined ? '.' : dirname(flags.config);
  const from = (typed: string | undefined, variable: string) =>
    typed === undefined && environment[AUTHORITY_ENV_PREFIX + variable] === undefined ? folder : '.';
  return {
    ...config,
    state_dir: resolve(from(flags.stateDir, 'STATE_DIR'), config.state_dir),
    policy_dir: resolve(from(flags.policyDir, 'POLICY_DIR'), config.policy_dir),
    ...(config.kubernetes !== undefined && { kubernetes: resolveClusterPaths(config.kubernetes, folder) }),
  };
}

/** The directory as it is now, without the state: what would be in force if the authority had never run. */
async function checkPolicy(config: AuthorityConfig): Promise<void> {
  const [{ checkPolicyDirectory }, { checkClusterFiles }, { MeshError }] = await Promise.all([
    import('../authority/policy/policy-check.ts'),
    import('../authority/kubernetes/service-accounts.ts'),
    import('../domain/mesh-error.ts'),
  ]);
  checkClusterFiles(config.kubernetes ?? []);
  const { problems, records } = await checkPolicyDirectory(config.policy_dir, config.trust_domain);
  const lines = problems.map(({ severity, file, line, column, field, message }) => {
    return `  ${severity}: ${file}:${line}:${column}: ${field === '' ? '' : `${field} `}${message}`;
  });
  if (problems.some(({ severity }) => severity === 'error')) {
    throw new MeshError(
      'CONFIG_INVALID',
      `the policy directory ${config.policy_dir} has problems:\n${lines.join('\n')}`,
    );
  }
  for (const line of lines) console.warn(line);
  console.log(`configuration and policy are valid: ${records} object(s) in ${config.policy_dir}`);
}
