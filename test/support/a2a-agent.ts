import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import {
  AGENT_CARD_PATH,
  AgentCard,
  Artifact,
  Message,
  SendMessageRequest,
  Task,
  TaskStatusUpdateEvent,
  type AgentCardSignatureGenerator,
} from '@a2a-js/sdk';
import { AgentCardResolver, ClientFactory, ClientFactoryOptions, type Client } from '@a2a-js/sdk/client';
import {
  AgentEvent,
  DefaultRequestHandler,
  InMemoryPushNotificationStore,
  InMemoryTaskStore,
  type AgentExecutor,
  type PushNotificationSender,
} from '@a2a-js/sdk/server';
import { agentCardHandler, jsonRpcHandler, restHandler, UserBuilder } from '@a2a-js/sdk/server/express';
import express from 'express';

/** What the agent says of itself: addresses that lead nowhere, or around the mesh. */
export const OWN_HOST = 'https://researcher.acme.example';

/** Answers a question with a message, and what is about findings with a task that streams two of them. */
class Researcher implements AgentExecutor {
  async execute(
    { userMessage, taskId, contextId }: Parameters<AgentExecutor['execute']>[0],
    bus: Parameters<AgentExecutor['execute']>[1],
  ) {
    const text = JSON.stringify(userMessage.parts);
    if (!text.includes('findings')) {
      const parts = [{ text: 'an answer' }];
      bus.publish(AgentEvent.message(Message.fromJSON({ messageId: taskId, contextId, role: 'ROLE_AGENT', parts })));
      bus.finished();
      return;
    }
    bus.publish(AgentEvent.task(Task.fromJSON({ id: taskId, contextId, status: { state: 'TASK_STATE_WORKING' } })));
    for (const finding of ['first', 'second']) {
      const artifact = Artifact.fromJSON({ artifactId: finding, parts: [{ text: finding }] });
      bus.publish(
        AgentEvent.artifactUpdate({ taskId, contextId, artifact, append: false, lastChunk: true, metadata: undefined }),
      );
    }
    const done = { taskId, contextId, status: { state: 'TASK_STATE_COMPLETED' } };
    bus.publish(AgentEvent.statusUpdate(TaskStatusUpdateEvent.fromJSON(done)));
    bus.finished();
  }

  async cancelTask() {}
}

/** What becomes of a notification is not what is tried here, and there is nobody at these places. */
const SILENT: PushNotificationSender = { send: async () => undefined };

/** An A2A agent of the official SDK, in the test's process: JSON-RPC and HTTP+JSON at one port. */
export class A2aAgent {
  /** Where it was told to push notifications. */
  readonly pushStore = new InMemoryPushNotificationStore();
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(t: TestContext, sign?: AgentCardSignatureGenerator): Promise<A2aAgent> {
    const app = express();
    const server = app.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const agent = new A2aAgent(server);
    const card = AgentCard.fromJSON({
      name: 'researcher',
      description: 'Answers.',
      version: '1.0.0',
      supportedInterfaces: [
        { url: `${OWN_HOST}/a2a/jsonrpc`, protocolBinding: 'JSONRPC', protocolVersion: '1.0' },
        { url: `${OWN_HOST}/a2a/rest`, protocolBinding: 'HTTP+JSON', protocolVersion: '1.0' },
        { url: 'researcher.acme.example:50051', protocolBinding: 'GRPC', protocolVersion: '1.0' },
      ],
      capabilities: { streaming: true, pushNotifications: true, extendedAgentCard: true },
      defaultInputModes: ['text'],
      defaultOutputModes: ['text'],
    });
    const requestHandler = new DefaultRequestHandler(
      card,
      new InMemoryTaskStore(),
      new Researcher(),
      undefined,
      agent.pushStore,
      SILENT,
      card,
      sign,
    );
    const userBuilder = UserBuilder.noAuthentication;
    const cards = { agentCardProvider: requestHandler };
    app.use(`/${AGENT_CARD_PATH}`, agentCardHandler(cards));
    app.use('/.well-known/agent.json', agentCardHandler(cards));
    app.use('/a2a/jsonrpc', jsonRpcHandler({ requestHandler, userBuilder }));
    app.use('/a2a/rest', restHandler({ requestHandler, userBuilder }));
    t.after(() => {
      server.closeAllConnections();
      server.close();
    });
    return agent;
  }

  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }
}

export const BINDINGS = ['JSONRPC', 'HTTP+JSON'] as const;

/** A client of the official SDK that follows the card at this place. */
export async function a2aClient(url: string, binding: (typeof BINDINGS)[number]): Promise<Client> {
  const card = await AgentCardResolver.default.resolve(url);
  const options = ClientFactoryOptions.createFrom(ClientFactoryOptions.default, { preferredTransports: [binding] });
  return new ClientFactory(options).createFromAgentCard(card);
}

export function a2aMessage(text: string, configuration?: object): SendMessageRequest {
  return SendMessageRequest.fromJSON({
    message: { messageId: randomUUID(), role: 'ROLE_USER', parts: [{ text }] },
    ...(configuration !== undefined && { configuration }),
  });
}
