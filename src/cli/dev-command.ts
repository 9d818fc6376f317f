import type { Command } from 'commander';
import { processOutput, type CommandOutput } from './command-output.ts';
import type { DevOptions } from './dev/dev.ts';

/** Adds `ait dev`: a whole mesh on one machine, with our example agents or one's own. */
export function registerDevCommand(program: Command, output: CommandOutput = processOutput): void {
  program
    .command('dev')
    .description('run a whole mesh on this machine, and tell what happens')
    .option('-f, --file <mesh.yaml>', 'your own agents instead of the two examples')
    .option('--state <folder>', 'where everything is kept, from one start to the next', '.ait')
    .option('--json', 'one JSON object a line instead of text')
    .addHelpText(
      'after',
      `
A file of your own agents; paths start at its folder, \${listen} and \${peer.<name>} stand for addresses:

  agents:
    researcher:
      command: [python3, researcher.py]
      env: { LISTEN: '\${listen}' }
      measure: &measure
        system_prompt: { main: prompts/system.md }
        knowledge_base: not_applicable
        model: { provider: example, id: small, version: '1' }
        tools: not_applicable
    planner:
      command: [node, planner.mjs]
      env: { RESEARCHER: '\${peer.researcher}' }
      calls: [researcher]
      measure: *measure

Each agent finds its model at OPENAI_BASE_URL, behind its sidecar: a simulated one, which has every approved model. To
name a server instead, add it to the file; the agents never see its key:

  inference:
    provider: { base_url: https://api.openai.com/v1, api_key_file: provider.key }

What an agent is made of when it is first seen is approved without asking, and evidence that proves nothing is accepted:
this is for development only.
Stop it with Ctrl-C; nothing is left running.`,
    )
    .action(async (options: DevOptions) => {
      const { dev } = await import('./dev/dev.ts');
      await dev(options, output);
    });
}
