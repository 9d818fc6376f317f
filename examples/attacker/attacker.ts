/**
 * Plays somebody who got into an agent's process and changes what it has in memory; its files stay as they are. It works
 * on the example agents alone, which have a door for it (../mind/debug-socket.ts).
 *
 *   attacker <socket> prompt <text>   appends to the system prompt
 *   attacker <socket> tool <name>     offers the model one more tool
 *   attacker <socket> model <id>      calls another model
 *   attacker <socket> restore         puts back what the agent read at start
 */
import { request } from 'node:http';

const ACTIONS: ReadonlySet<string | undefined> = new Set(['prompt', 'tool', 'model', 'restore']);
const [socketPath, action, ...words] = process.argv.slice(2);

if (socketPath === undefined || !ACTIONS.has(action)) {
  console.error('attacker: expected <socket> prompt <text> | tool <name> | model <id> | restore');
  process.exit(2);
}

const fail = (reason: string): void => {
  console.error(`attacker: ${socketPath}: ${reason}`);
  process.exitCode = 1;
};
const call = request({ socketPath, method: 'POST', path: `/${action}`, agent: false }, (response) => {
  if (response.statusCode !== 200) fail(`answered ${response.statusCode}`);
  response.setEncoding('utf8').on('data', (text: string) => process.stdout.write(text));
});
call.on('error', (error) => fail(error.message));
call.end(words.join(' '));
