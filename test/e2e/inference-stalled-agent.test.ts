import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { chat, chatBody, modelSocket } from '../support/model-caller.ts';
import { plannerWithProvider } from '../support/model-mesh.ts';
import { answerChat, beginEvents, chatChunk, sendEvent, type ModelServer } from '../support/model-server.ts';
import { pollUntil } from '../support/poll-until.ts';
import type { TestAgent } from '../support/test-agent.ts';

/** A request as it goes over the wire. */
function wire(body: string): string {
  const head = 'POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n';
  return `${head}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}

/** A connection to the port, from which nothing is read until the test does. */
async function silentReader(t: TestContext, planner: TestAgent): Promise<Socket> {
  const socket = connect({ path: modelSocket(planner) });
  t.after(() => socket.destroy());
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  socket.pause();
  return socket;
}

/** Sends events for as long as somebody takes them, and says when nobody does. */
function floodUntilStalled(model: ModelServer): Promise<ServerResponse> {
  return new Promise((resolve) => {
    model.answer = (_question, response) => {
      beginEvents(response);
      const word = 'x'.repeat(60_000);
      let drained = 0;
      const more = (): void => {
        for (let sent = 0; sent < 1000; sent += 1) {
          if (response.write(`data: ${JSON.stringify(chatChunk('large', word))}\n\n`)) continue;
          // What the kernel and the sidecar hold is bounded: after that nobody takes any more.
          const before = (drained += 1);
          setTimeout(() => drained === before && resolve(response), 500).unref();
          response.once('drain', more);
          return;
        }
      };
      more();
    };
  });
}

const inFlight = (planner: TestAgent) => planner.metric('ait_inference_in_flight');

test('an agent that stops reading keeps no call open once it is cut off, and holds up no shutdown', async (t) => {
  const { planner, model } = await plannerWithProvider(t);
  const stall = async (): Promise<Socket> => {
    const stalled = floodUntilStalled(model);
    const socket = await silentReader(t, planner);
    socket.write(wire(chatBody(planner, { stream: true })));
    await stalled;
    assert.equal(await inFlight(planner), 1);
    return socket;
  };
  await t.test('its own drift ends the call, and the connection with it', async () => {
    const socket = await stall();
    await planner.files.writePrompt('You are somebody else.\n');
    await pollUntil(
      () => inFlight(planner),
      (count) => count === 0,
    );
    const ended = await planner.metric('ait_inference_requests_total', { model: 'large' });
    assert.equal(ended, 1, 'it ended as what it was, and once');
    assert.equal(await planner.metric('ait_inference_requests_total', { outcome: 'aborted' }), 0);
    // A line end between two requests means nothing; that nobody takes it says that the connection is gone.
    await pollUntil(
      () => new Promise<boolean>((resolve) => socket.write('\r\n', (error) => resolve(error instanceof Error))),
      (isGone) => isGone,
    );
  });
  await t.test('the sidecar stops in time', async () => {
    await planner.files.writePrompt('You are planner. Be brief.\n');
    model.answer = answerChat;
    await pollUntil(
      () => chat(planner),
      ({ status }) => status === 200,
    );
    await stall();
    const before = performance.now();
    planner.sidecar.signal('SIGTERM');
    assert.equal(await planner.sidecar.exited, 0);
    const tookMs = performance.now() - before;
    assert.ok(tookMs < 8000, `${Math.round(tookMs)} ms`);
  });
});

test('calls that are sent before the one before is answered go nowhere, and leave nothing behind', async (t) => {
  const { planner, model } = await plannerWithProvider(t);
  const asked = new Promise<ServerResponse>((resolve) => {
    model.answer = (_question, response) => {
      beginEvents(response);
      sendEvent(response, chatChunk('large', 'Hello'));
      resolve(response);
    };
  });
  const socket = await silentReader(t, planner);
  const call = wire(chatBody(planner, { stream: true }));
  socket.write(call + call + call);
  await asked;
  socket.destroy();
  await pollUntil(
    () => inFlight(planner),
    (count) => count === 0,
  );
  assert.equal(model.questions.length, 1, 'only the first was carried');
  model.answer = answerChat;
  assert.equal((await chat(planner)).status, 200);
});
