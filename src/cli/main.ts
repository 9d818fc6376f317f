import { Command, CommanderError } from 'commander';
import { isMeshError, type MeshError } from '../domain/mesh-error.ts';
import { registerAuthorityCommands } from './authority-command.ts';
import { registerBaselineCommands } from './baseline-command.ts';
import { registerCertsCommands } from './certs-command.ts';
import { registerCheckCommand } from './check-command.ts';
import { registerDemoCommand } from './demo-command.ts';
import { registerDevCommand } from './dev-command.ts';
import { registerExplainCommand } from './explain-command.ts';
import { registerInferenceCommand } from './inference-command.ts';
import { registerMeshCommands } from './mesh-command.ts';
import { registerOperatorCommands } from './operator-command.ts';
import { registerPolicyCommands } from './operator/policy-commands.ts';
import { registerRunCommand } from './run-command.ts';
import { registerSidecarCommand } from './sidecar-command.ts';
import { EXIT } from './exit-codes.ts';
import { VERSION } from './version.ts';

const program = new Command('ait')
  .description("a sidecar mesh for AI agents that drops the connection when an agent's mind was changed")
  .version(VERSION)
  .showHelpAfterError('(add --help for help)')
  .exitOverride();

registerDevCommand(program);
registerDemoCommand(program);
registerAuthorityCommands(program);
registerSidecarCommand(program);
registerRunCommand(program);
registerInferenceCommand(program);
registerBaselineCommands(program);
registerCertsCommands(program);
registerExplainCommand(program);
registerCheckCommand(program);
registerMeshCommands(program);
registerOperatorCommands(program);
registerPolicyCommands(program);

/**
 * When these return, every component has stopped. A connection that grpc-js was just opening may still be there: it keeps
 * no process alive, but Node 20 then waits for it for ever, at full speed, while it tidies up at its own end.
 */
const PROCESSES_OF_THE_MESH: ReadonlySet<string> = new Set(['authority', 'sidecar']);
program.hook('postAction', (_program, command) => {
  if (PROCESSES_OF_THE_MESH.has(command.name())) process.exit();
});

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = report(error);
}

/** What went wrong, what to do about it, and nothing of the inside of the program unless it is a defect. */
function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  if (isMeshError(error) && error.code !== 'INTERNAL') {
    const reasons = [error.message, ...causesOf(error)];
    process.stderr.write(`ait: ${error.code}: ${reasons.join('\n  because: ')}\n`);
    const hint = hintOf(error);
    if (hint !== undefined) process.stderr.write(`  try: ${hint}\n`);
    return exitCodeOf(error);
  }
  process.stderr.write(
    `ait: a defect in ait-mesh; please report it\n${error instanceof Error ? error.stack : String(error)}\n`,
  );
  return EXIT.failed;
}

function exitCodeOf({ code }: MeshError): number {
  switch (code) {
    case 'CONFIG_INVALID':
      return EXIT.usage;
    case 'ADMIN_REFUSED':
    case 'AGENT_REFUSED':
    case 'JOIN_REFUSED':
      return EXIT.refused;
    case 'AUTHORITY_UNREACHABLE':
      return EXIT.unreachable;
    default:
      return EXIT.failed;
  }
}

function causesOf(error: Error): string[] {
  return error.cause instanceof Error && !error.message.includes(error.cause.message)
    ? [error.cause.message, ...causesOf(error.cause)]
    : [];
}

/** The innermost advice is the most to the point. */
function hintOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  return hintOf(error.cause) ?? (isMeshError(error) ? error.hint : undefined);
}
