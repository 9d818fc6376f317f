import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { test } from 'node:test';
import { chat, chatBody, eventsOf, isListening, modelSocket, openCall } from '../support/model-caller.ts';
import { plannerWithProvider } from '../support/model-mesh.ts';
import { beginEvents, chatChunk, sendEvent } from '../support/model-server.ts';

test('on SIGTERM a stream that is under way is finished, and nothing new begins', async (t) => {
  const { planner, model } = await plannerWithProvider(t, { config: { timing: { drain: '20s' } } });
  const asked = new Promise<ServerResponse>((resolve) => {
    model.answer = (_question, response) => {
      beginEvents(response);
      sendEvent(response, chatChunk('large', 'Hello'));
      resolve(response);
    };
  });
  const call = chat(planner, { stream: true });
  const response = await asked;
  planner.sidecar.signal('SIGTERM');
  await planner.waitFor('sidecar_drained');
  const late = openCall(planner, {});
  late.end(chatBody(planner));
  await assert.rejects(once(late, 'response'), 'nobody listens any more');
  sendEvent(response, chatChunk('large', ' there'));
  response.end('data: [DONE]\n\n');
  const reply = await call;
  assert.equal(reply.status, 200);
  assert.deepEqual(eventsOf(reply).length, 3);
  assert.equal(eventsOf(reply).at(-1), '[DONE]');
  assert.equal(await planner.sidecar.exited, 0);
  assert.equal(await isListening(modelSocket(planner)), false);
});
