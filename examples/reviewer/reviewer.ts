/**
 * The reviewer: says what is missing in an answer, in its model's words. An A2A agent (JSON-RPC) without TLS, tokens or any
 * idea of who calls it, made with the official SDK.
 *
 *   LISTEN       where to answer: unix:/path or host:port (127.0.0.1:50052)
 *   AGENT_HOME   the folder with prompt, tools and model (this one)
 *   OPENAI_BASE_URL, OPENAI_API_KEY   its model (../mind/mind.ts); without it nothing is ever missing
 *   DEBUG_SOCKET   for playing the attacker (../mind/debug-socket.ts)
 */
import { rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { AGENT_CARD_PATH, AgentCard, Message } from '@a2a-js/sdk';
import {
  AgentEvent,
  DefaultRequestHandler,
  InMemoryTaskStore,
  type AgentExecutor,
  type ExecutionEventBus,
  type RequestContext,
} from '@a2a-js/sdk/server';
import { agentCardHandler, jsonRpcHandler, UserBuilder } from '@a2a-js/sdk/server/express';
import express from 'express';
import { openDebugSocket } from '../mind/debug-socket.ts';
import { describeRefusal, Mind } from '../mind/mind.ts';

const { LISTEN = '127.0.0.1:50052', AGENT_HOME: home = fileURLToPath(new URL('.', import.meta.url)) } = process.env;

const mind = await Mind.read(home);
openDebugSocket(mind);

/** Answers each message with one of its own. */
class Reviewer implements AgentExecutor {
  async execute({ userMessage, taskId, contextId }: RequestContext, bus: ExecutionEventBus): Promise<void> {
    const { content } = userMessage.parts[0] ?? {};
    const text = await review(content?.$case === 'text' ? content.value : '');
    const answer = { messageId: taskId, contextId, role: 'ROLE_AGENT', parts: [{ text }] };
    bus.publish(AgentEvent.message(Message.fromJSON(answer)));
    bus.finished();
  }

  /** Nothing here takes long enough. */
  cancelTask(): Promise<void> {
    return Promise.resolve();
  }
}

async function review(answer: string): Promise<string> {
  if (!mind.hasModel) return 'Nothing is missing.';
  try {
    return (await mind.listen(`What is missing here?\n${answer}`)).text;
  } catch (error) {
    const { status, detail } = describeRefusal(error);
    return `No review: the model does not answer, ${status}, ${detail}`;
  }
}

const card = AgentCard.fromJSON({
  name: 'reviewer',
  description: 'Says what is missing in an answer.',
  version: '1.0.0',
  supportedInterfaces: [{ url: 'http://reviewer.mesh/a2a', protocolBinding: 'JSONRPC', protocolVersion: '1.0' }],
  capabilities: { streaming: true },
  defaultInputModes: ['text'],
  defaultOutputModes: ['text'],
});
const requestHandler = new DefaultRequestHandler(card, new InMemoryTaskStore(), new Reviewer());
const app = express();
app.use(`/${AGENT_CARD_PATH}`, agentCardHandler({ agentCardProvider: requestHandler }));
app.use('/a2a', jsonRpcHandler({ requestHandler, userBuilder: UserBuilder.noAuthentication }));

const path = LISTEN.startsWith('unix:') ? LISTEN.slice('unix:'.length) : undefined;
// A socket file that a killed process left behind would keep us from listening.
if (path !== undefined) rmSync(path, { force: true });
const [host = '', port] = LISTEN.split(':');
const ready = (): void => console.log(`ready on ${LISTEN}`);
const server = path === undefined ? app.listen(Number(port), host, ready) : app.listen(path, ready);
process.on('SIGTERM', () => {
  server.closeAllConnections();
  server.close();
});
