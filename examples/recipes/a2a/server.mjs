/**
 * The researcher as an A2A agent, JSON-RPC and HTTP+JSON at one port. Who calls is in a header that only the sidecar can
 * set; A2A calls this the user.
 *
 *   LISTEN        where its sidecar finds it: host:port (127.0.0.1:8080)
 *   INTERVAL_MS   pause between two findings (100)
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { AGENT_CARD_PATH, AgentCard, Artifact, Message, Task, TaskStatusUpdateEvent } from '@a2a-js/sdk';
import { AgentEvent, DefaultRequestHandler, InMemoryTaskStore } from '@a2a-js/sdk/server';
import { agentCardHandler, jsonRpcHandler, restHandler } from '@a2a-js/sdk/server/express';
import express from 'express';

const { LISTEN = '127.0.0.1:8080', INTERVAL_MS = '100' } = process.env;
const [host, port] = LISTEN.split(':');

/** Answers a question with a message; anything about findings becomes a task that streams them. */
class Researcher {
  async execute({ userMessage, taskId, contextId, context }, bus) {
    const text = userMessage.parts[0].content.value;
    if (!text.includes('findings')) {
      const parts = [{ text: `A sponsor does, ${context.user.userName}.` }];
      bus.publish(AgentEvent.message(Message.fromJSON({ messageId: taskId, contextId, role: 'ROLE_AGENT', parts })));
      bus.finished();
      return;
    }
    const status = (state) => ({ state, timestamp: new Date().toISOString() });
    bus.publish(AgentEvent.task(Task.fromJSON({ id: taskId, contextId, status: status('TASK_STATE_WORKING') })));
    for (let number = 1; number <= 3; number += 1) {
      const artifact = Artifact.fromJSON({
        artifactId: `${number}`,
        parts: [{ text: `finding ${number}: drift was seen` }],
      });
      bus.publish(AgentEvent.artifactUpdate({ taskId, contextId, artifact, lastChunk: true }));
      await sleep(Number(INTERVAL_MS));
    }
    const done = { taskId, contextId, status: status('TASK_STATE_COMPLETED') };
    bus.publish(AgentEvent.statusUpdate(TaskStatusUpdateEvent.fromJSON(done)));
    bus.finished();
    console.log('the investigation is over');
  }

  async cancelTask() {}
}

const app = express();
const server = app.listen(Number(port), host, () => {
  const base = `http://${host}:${server.address().port}`;
  const bindings = [
    { url: `${base}/a2a/jsonrpc`, protocolBinding: 'JSONRPC', protocolVersion: '1.0' },
    { url: `${base}/a2a/rest`, protocolBinding: 'HTTP+JSON', protocolVersion: '1.0' },
  ];
  const card = AgentCard.fromJSON({
    name: 'researcher',
    description: 'Answers from its knowledge base.',
    version: '1.0.0',
    supportedInterfaces: bindings,
    capabilities: { streaming: true },
    defaultInputModes: ['text'],
    defaultOutputModes: ['text'],
  });
  const requestHandler = new DefaultRequestHandler(card, new InMemoryTaskStore(), new Researcher());
  const userBuilder = async ({ headers }) => {
    const caller = headers['x-ait-peer-agent'];
    return { isAuthenticated: caller !== undefined, userName: caller ?? 'stranger' };
  };
  app.use(`/${AGENT_CARD_PATH}`, agentCardHandler({ agentCardProvider: requestHandler }));
  app.use('/a2a/jsonrpc', jsonRpcHandler({ requestHandler, userBuilder }));
  app.use('/a2a/rest', restHandler({ requestHandler, userBuilder }));
  console.log(`ready on ${host}:${server.address().port}`);
});
