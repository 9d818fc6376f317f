import type { Command } from 'commander';
import { processOutput, type CommandOutput } from './command-output.ts';
import type { RunFlags } from './run/run.ts';
import { collectSetting } from './settings-flag.ts';

/** Adds `ait run`: a sidecar around one command. */
export function registerRunCommand(program: Command, output: CommandOutput = processOutput): void {
  program
    .command('run')
    .description('run an agent behind a sidecar of its own, for as long as it lives')
    .argument('<agent.yaml>', "the sidecar's configuration; what is left out is chosen")
    .argument('[command...]', 'the agent, after --; run without a shell')
    .option('--wait <duration>', 'how long the sidecar may take to be usable', '30s')
    .option('--state <folder>', 'where the sidecar keeps its state, log and sockets (state_dir)')
    .option(
      '--set <path=value>',
      'one setting of agent.yaml, for example timing.drain=1s; may be repeated',
      collectSetting,
    )
    .option('--verbose', "the sidecar's log goes to standard error instead of a file")
    .option('--check-config', 'report all problems of agent.yaml, then exit: 0 none, 2 some')
    .addHelpText(
      'after',
      `
agent.yaml is a sidecar's configuration (ait sidecar --config-schema) and may have env, a mapping of variables for the
agent. Left out, inbound and metrics get free loopback ports, and peers and app unix sockets.

The agent finds in its environment:
  AIT_PEER_<NAME>    where it calls a peer: unix:/path or host:port, as gRPC takes it; - . / in a name become _
  LISTEN             where it has to listen (app); HOST and PORT as well, where that is a port
  OPENAI_BASE_URL    the inference port, where there is one; OPENAI_API_KEY opens nothing: clients insist on one
\${listen}, \${outbound}, \${peer.<name>}, and the same with .path for a bare path, stand for addresses in the command and in env.

It is started when the sidecar is usable, and has this terminal's input and output. Signals reach it; a second one,
SIGINT within 5 s, ends it by force. When it has ended the sidecar finishes what is open, and nothing is left running.

Exit codes: the agent's own, 128+n where signal n ended it; 126 it cannot be executed; 127 it was not found. Before it
was started: 1 the sidecar did not start or was not ready in time; 2 a flag or agent.yaml is wrong; 4 the mesh refuses
the agent; 5 the authority was not reached.

Examples:
  ait run agent.yaml -- python3 agent.py
  ait run agent.yaml -- ./agent --researcher '\${peer.researcher}'
  ait run agent.yaml --wait 2m --verbose -- node agent.mjs
  ait run agent.yaml --state /tmp/second -- python3 agent.py    another copy, at the same time`,
    )
    .action(async (file: string, command: readonly string[], flags: RunFlags) => {
      const { run } = await import('./run/run.ts');
      await run({ file, command, flags }, output);
    });
}
