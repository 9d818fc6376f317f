import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { test } from 'node:test';
import { chat, chatBody, eventsOf, openCall } from '../support/model-caller.ts';
import { plannerWithProvider, plannerWithService } from '../support/model-mesh.ts';
import { beginEvents, chatChunk, sendEvent } from '../support/model-server.ts';
import { pollUntil } from '../support/poll-until.ts';

test('an agent that hangs up while the service is still proving itself ends nothing but its own call', async (t) => {
  const { planner, service } = await plannerWithService(t);
  await planner.waitFor('sidecar_ready');
  const asked = new Promise<ServerResponse>((resolve) => {
    service.answer = (_question, response) => {
      beginEvents(response);
      sendEvent(response, chatChunk('large', 'Hello'));
      resolve(response);
    };
  });
  const first = chat(planner, { stream: true });
  const response = await asked;
  const before = service.questions.length;
  service.evidence = () => new Promise(() => undefined);
  const second = openCall(planner, {});
  second.on('error', () => undefined);
  second.end(chatBody(planner));
  await pollUntil(
    () => service.questions.length,
    (count) => count === before + 1,
  );
  second.destroy();
  await pollUntil(
    () => planner.metric('ait_inference_requests_total', { outcome: 'aborted' }),
    (count) => count === 1,
  );
  assert.equal(service.prompts.length, 1, 'the prompt of the second call stayed here');
  sendEvent(response, chatChunk('large', ' there'));
  response.end('data: [DONE]\n\n');
  const reply = await first;
  assert.equal(eventsOf(reply).at(-1), '[DONE]', reply.text);
  assert.match(JSON.stringify(JSON.parse(await planner.admin('/readyz'))), /^\[\]$/, 'and the service is in no doubt');
});

test('an agent that hangs up in the middle of an event ends the call to the model, and never got half an event', async (t) => {
  const { planner, model } = await plannerWithProvider(t);
  const whole = JSON.stringify(chatChunk('large', 'Hello'));
  model.answer = (_question, response) => {
    beginEvents(response);
    response.write(`data: ${whole}\n\ndata: {"choices":[{"half`);
  };
  const call = openCall(planner, {});
  call.end(chatBody(planner, { stream: true }));
  const [answer] = (await once(call, 'response')) as [IncomingMessage];
  answer.on('error', () => undefined);
  const [chunk] = (await once(answer, 'data')) as [Buffer];
  assert.equal(chunk.toString(), `data: ${whole}\n\n`);
  call.destroy();
  await pollUntil(
    async () => [model.hangUps, await planner.metric('ait_inference_requests_total', { outcome: 'aborted' })],
    ([hangUps, aborted]) => hangUps === 1 && aborted === 1,
  );
  assert.equal(await planner.metric('ait_inference_in_flight'), 0, 'nothing is left hanging');
});
