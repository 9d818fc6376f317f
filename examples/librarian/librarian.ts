/**
 * The librarian: an MCP server (streamable HTTP, with sessions) without TLS, tokens or any idea of who calls it, made with
 * the official SDK. It has no model, and so neither a prompt: what it is, is its knowledge and its tools.
 *
 *   LISTEN       where to answer: unix:/path or host:port (127.0.0.1:50053)
 *   AGENT_HOME   the folder with knowledge and tools (this one)
 */
import { randomUUID } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { CallToolRequestSchema, ListToolsRequestSchema, type Tool } from '@modelcontextprotocol/sdk/types.js';

const { LISTEN = '127.0.0.1:50053', AGENT_HOME: home = fileURLToPath(new URL('.', import.meta.url)) } = process.env;

interface Manifest {
  readonly entries: readonly { readonly name: string; readonly path: string }[];
}

/** Read once, at start: what it offers is the very manifest that is measured. */
const { tools } = JSON.parse(readFileSync(join(home, 'tools.json'), 'utf8')) as { readonly tools: Tool[] };

function entries(): Manifest['entries'] {
  return (JSON.parse(readFileSync(join(home, 'knowledge/manifest.json'), 'utf8')) as Manifest).entries;
}

function call(tool: string, { name }: { readonly name?: unknown }): string {
  if (tool === 'list_entries')
    return entries()
      .map((entry) => entry.name)
      .join(', ');
  const found = tool === 'read_entry' ? entries().find((entry) => entry.name === name) : undefined;
  if (found === undefined) throw new RangeError(`${tool} finds nothing of that name`);
  return readFileSync(join(home, 'knowledge', found.path), 'utf8').trim();
}

function librarian(): Server {
  const server = new Server({ name: 'librarian', version: '1.0.0' }, { capabilities: { tools: {} } });
  server.setRequestHandler(ListToolsRequestSchema, () => ({ tools }));
  server.setRequestHandler(CallToolRequestSchema, ({ params }) => ({
    content: [{ type: 'text', text: call(params.name, params.arguments ?? {}) }],
  }));
  return server;
}

const sessions = new Map<string, StreamableHTTPServerTransport>();

/** A request of a session that is not known begins one; whether it may is for the SDK to say. */
async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const known = sessions.get(String(request.headers['mcp-session-id']));
  await (known ?? (await begin())).handleRequest(request, response);
}

async function begin(): Promise<StreamableHTTPServerTransport> {
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: randomUUID,
    onsessioninitialized: (id) => void sessions.set(id, transport),
    onsessionclosed: (id) => void sessions.delete(id),
  });
  await librarian().connect(transport);
  return transport;
}

const server = createServer((request, response) => {
  answer(request, response).catch((error: unknown) => response.destroy(error as Error));
});
const path = LISTEN.startsWith('unix:') ? LISTEN.slice('unix:'.length) : undefined;
// A socket file that a killed process left behind would keep us from listening.
if (path !== undefined) rmSync(path, { force: true });
const [host = '', port] = LISTEN.split(':');
const ready = (): void => console.log(`ready on ${LISTEN}`);
if (path === undefined) server.listen(Number(port), host, ready);
else server.listen(path, ready);
process.on('SIGTERM', () => {
  server.closeAllConnections();
  server.close();
});
