/**
 * Asks the researcher at a unix socket, which Node's own fetch cannot dial. SDKs that take a fetch take this one.
 *
 *   RESEARCHER_SOCKET   where the sidecar takes calls to the researcher: /run/ait/planner/researcher.sock
 */
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { Agent, fetch } from 'undici';

const dispatcher = new Agent({ connect: { socketPath: process.env.RESEARCHER_SOCKET } });

const response = await fetch('http://researcher/ask', {
  dispatcher,
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ question: 'Who approves a baseline?' }),
});
console.log((await response.json()).answer);

const { body } = await fetch('http://researcher/findings', { dispatcher });
for await (const line of createInterface({ input: Readable.fromWeb(body) }))
  if (line.startsWith('data: ')) console.log(line.slice('data: '.length));
await dispatcher.close();
