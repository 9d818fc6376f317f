/**
 * Calls the researcher's tools: one that answers, and one that reports as it goes.
 *
 *   RESEARCHER_URL   where the sidecar takes calls to the researcher: http://127.0.0.1:17001
 */
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

const transport = new StreamableHTTPClientTransport(new URL('/mcp', process.env.RESEARCHER_URL));
const client = new Client({ name: 'planner', version: '1.0.0' });

try {
  await client.connect(transport);
  const { tools } = await client.listTools();
  console.log(`tools: ${tools.map(({ name }) => name).join(', ')}`);

  const answer = await client.callTool({ name: 'ask', arguments: { question: 'Who approves a baseline?' } });
  console.log(answer.content[0].text);

  const onprogress = ({ progress, message }) => console.log(`finding ${progress}: ${message}`);
  await client.callTool({ name: 'investigate', arguments: { topic: 'drift' } }, undefined, { onprogress });
  await transport.terminateSession();
} catch (error) {
  console.log(`${error.name}: ${error.message}${error.cause ? `: ${error.cause.code}` : ''}`);
  process.exitCode = 1;
}
await client.close();
