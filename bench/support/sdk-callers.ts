import { randomUUID } from 'node:crypto';
import { SendMessageRequest } from '@a2a-js/sdk';
import { AgentCardResolver, ClientFactory, ClientFactoryOptions } from '@a2a-js/sdk/client';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

/** A client of an SDK that is ready to call, connection and session included. */
export interface SdkCaller {
  /** One call. @returns the text of its answer. @throws whatever the SDK throws */
  call(): Promise<string>;
  close(): Promise<void>;
}

const QUESTION = 'Who approves a baseline?';

/** The tool `ask` of `examples/recipes/mcp/server.mjs`, within one session. @param origin `http://host:port` */
export async function mcpCaller(origin: string): Promise<SdkCaller> {
  const client = new Client({ name: 'bench', version: '1.0.0' });
  const transport = new StreamableHTTPClientTransport(new URL('/mcp', origin));
  await client.connect(transport);
  return {
    call: async () => {
      const { content } = await client.callTool({ name: 'ask', arguments: { question: QUESTION } });
      return (content as readonly { readonly text: string }[])[0]?.text ?? '';
    },
    close: async () => {
      await transport.terminateSession();
      await client.close();
    },
  };
}

/** A message to `examples/recipes/a2a/server.mjs`. @param origin `http://host:port` */
export async function a2aCaller(origin: string, binding: 'JSONRPC' | 'HTTP+JSON'): Promise<SdkCaller> {
  const card = await AgentCardResolver.default.resolve(origin);
  // It names the server itself, which is not what is measured.
  for (const each of card.supportedInterfaces) each.url = new URL(new URL(each.url).pathname, origin).href;
  const options = ClientFactoryOptions.createFrom(ClientFactoryOptions.default, { preferredTransports: [binding] });
  const client = await new ClientFactory(options).createFromAgentCard(card);
  return {
    call: async () => {
      const message = { messageId: randomUUID(), role: 'ROLE_USER', parts: [{ text: QUESTION }] };
      const answer = await client.sendMessage(SendMessageRequest.fromJSON({ message }));
      const content = 'parts' in answer ? answer.parts[0]?.content : undefined;
      return content?.$case === 'text' ? content.value : '';
    },
    close: () => Promise.resolve(),
  };
}
