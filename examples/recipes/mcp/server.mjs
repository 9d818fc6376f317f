/**
 * The researcher as an MCP server: streamable HTTP with sessions, two tools, one of which reports as it goes. Who calls is
 * in a header that only the sidecar can set.
 *
 *   LISTEN        where its sidecar finds it: host:port (127.0.0.1:8080)
 *   INTERVAL_MS   pause between two findings (100)
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { createMcpExpressApp } from '@modelcontextprotocol/sdk/server/express.js';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { z } from 'zod';

const { LISTEN = '127.0.0.1:8080', INTERVAL_MS = '100' } = process.env;
const [host, port] = LISTEN.split(':');
const text = (value) => ({ content: [{ type: 'text', text: value }] });

function researcher() {
  const server = new McpServer({ name: 'researcher', version: '1.0.0' });
  server.registerTool(
    'ask',
    { description: 'Answers one question.', inputSchema: { question: z.string() } },
    (_question, { requestInfo }) => {
      const caller = requestInfo.headers['x-ait-peer-agent'] ?? 'stranger';
      return text(`A sponsor does, ${String(caller)}.`);
    },
  );
  server.registerTool(
    'investigate',
    { description: 'Looks into a topic.', inputSchema: { topic: z.string() } },
    async ({ topic }, { _meta, sendNotification }) => {
      for (let number = 1; number <= 3; number += 1) {
        const params = { progressToken: _meta.progressToken, progress: number, message: `${topic} was seen` };
        await sendNotification({ method: 'notifications/progress', params });
        await sleep(Number(INTERVAL_MS));
      }
      console.log('the investigation is over');
      return text('3 findings');
    },
  );
  return server;
}

const sessions = new Map();

async function begin() {
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: randomUUID,
    onsessioninitialized: (id) => void sessions.set(id, transport),
    onsessionclosed: (id) => void sessions.delete(id),
  });
  await researcher().connect(transport);
  return transport;
}

// The SDK answers only to host names that it knows: those of this machine, and what the agent is called in the mesh.
const app = createMcpExpressApp({ allowedHosts: ['127.0.0.1', 'localhost', 'researcher', 'researcher.mesh'] });
app.all('/mcp', async (request, response) => {
  const transport = sessions.get(request.headers['mcp-session-id']) ?? (await begin());
  await transport.handleRequest(request, response, request.body);
});
const server = app.listen(Number(port), host, () => console.log(`ready on ${host}:${server.address().port}`));
