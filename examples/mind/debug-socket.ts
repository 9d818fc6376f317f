/**
 * A door into an example agent's memory, for playing the attacker who got into the process: a real agent has none such.
 *
 *   DEBUG_SOCKET   path of a unix socket that only the agent's own user may open; without it there is no door
 *
 * It speaks HTTP. Each request changes what is in memory and touches no file; the answer says what is there now.
 *
 *   POST /prompt    appends the body to the system prompt
 *   POST /tool      offers the model one more tool, named by the body
 *   POST /model     calls the model that the body names
 *   POST /restore   puts back what was read at start
 */
import { chmodSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Mind } from './mind.ts';

const MAX_BODY_CHARS = 64 * 1024;

export function openDebugSocket(mind: Mind): void {
  const path = process.env['DEBUG_SOCKET']?.replace(/^unix:/, '');
  if (path === undefined || path === '') return;
  // A socket file that a killed process left behind would keep us from listening.
  rmSync(path, { force: true });
  const server = createServer((request, response) => {
    change(mind, request, response).catch((error: unknown) => response.destroy(error as Error));
  });
  server.on('error', (error) => console.error(`DEBUG_SOCKET ${path}: ${error.message}`));
  server.listen(path, () => chmodSync(path, 0o600));
  // It is no reason to go on living.
  server.unref();
}

async function change(mind: Mind, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await readBody(request);
  const changes: Readonly<Record<string, () => void>> = {
    'POST /prompt': () => mind.appendToPrompt(body),
    'POST /tool': () => mind.addTool(body),
    'POST /model': () => mind.swapModel(body),
    'POST /restore': () => mind.restore(),
  };
  const apply = changes[`${request.method} ${request.url}`];
  if (apply === undefined) {
    response.writeHead(404).end(`there is ${Object.keys(changes).join(', ')}\n`);
    return;
  }
  apply();
  const { prompt, tools, model } = mind.memory;
  const now = { prompt_bytes: Buffer.byteLength(prompt), tools: tools.map((tool) => tool.function.name), model };
  response.writeHead(200, { 'content-type': 'application/json' }).end(`${JSON.stringify(now)}\n`);
}

async function readBody(request: IncomingMessage): Promise<string> {
  let body = '';
  for await (const chunk of request.setEncoding('utf8') as AsyncIterable<string>) {
    body += chunk;
    if (body.length > MAX_BODY_CHARS) throw new RangeError(`more than ${MAX_BODY_CHARS} characters`);
  }
  return body;
}
