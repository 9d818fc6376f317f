import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { test } from 'node:test';
import { chatBody, eventsOf, openCall } from '../support/model-caller.ts';
import { plannerWithProvider } from '../support/model-mesh.ts';
import { beginEvents, chatChunk } from '../support/model-server.ts';
import { pollUntil } from '../support/poll-until.ts';
import type { TestAgent } from '../support/test-agent.ts';

const EVENT_BYTES = 32 * 1024;
const PADDING = 'x'.repeat(EVENT_BYTES);
const MIB = 1024 * 1024;

/** Streams so many numbered events, each once the one before is out of the process; gives how many are. */
function streamSlowly(response: ServerResponse, count: number): () => number {
  let sent = 0;
  const next = (): void => {
    if (sent === count) response.end('data: [DONE]\n\n');
    else {
      const data = JSON.stringify(chatChunk('large', `${sent} ${PADDING}`));
      response.write(`data: ${data}\n\n`, (error) => {
        if (error !== null && error !== undefined) return;
        sent += 1;
        next();
      });
    }
  };
  beginEvents(response);
  next();
  return () => sent;
}

/** Waits until nothing more goes out: everybody in between is full. */
async function stuck(sent: () => number): Promise<number> {
  let before = 0;
  return pollUntil(
    sent,
    (now) => {
      const isSame = now > 0 && now === before;
      before = now;
      return isSame;
    },
    { everyMs: 500, deadlineMs: 60_000 },
  );
}

/** A streamed call of which nothing is read yet. */
async function openStream(planner: TestAgent) {
  const request = openCall(planner, {});
  request.end(chatBody(planner, { stream: true }));
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  return { request, response };
}

/** Resident memory of the sidecar, in bytes. */
function memoryOf({ sidecar }: TestAgent): number {
  const status = readFileSync(`/proc/${sidecar.pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) * 1024;
}

test('an agent that does not read holds up its model, and not the memory of the sidecar', async (t) => {
  const offered = (256 * MIB) / EVENT_BYTES;
  const { planner, model } = await plannerWithProvider(t, { inference: { timeouts: { idle: '500ms' } } });
  let sent = () => 0;
  model.answer = (_question, response) => {
    sent = streamSlowly(response, offered);
  };
  const before = memoryOf(planner);
  const { request, response } = await openStream(planner);
  const taken = await stuck(() => sent());
  assert.ok(taken < offered / 2, `${taken} of ${offered} events were taken, though nobody reads them`);
  const grown = memoryOf(planner) - before;
  assert.ok(grown < 64 * MIB, `the sidecar has grown by ${Math.round(grown / MIB)} MiB`);
  assert.equal(await planner.metric('ait_inference_in_flight'), 1, 'that the agent is slow is no silence of the model');
  response.once('error', () => undefined);
  request.destroy();
  await pollUntil(
    async () => [model.hangUps, await planner.metric('ait_inference_requests_total', { outcome: 'aborted' })],
    ([hangUps, aborted]) => hangUps === 1 && aborted === 1,
  );
  assert.equal(await planner.metric('ait_inference_in_flight'), 0, 'nothing is left hanging');
});

test('once the agent reads on, it gets all of the answer, in order', async (t) => {
  const offered = (16 * MIB) / EVENT_BYTES;
  const { planner, model } = await plannerWithProvider(t);
  let sent = () => 0;
  model.answer = (_question, response) => {
    sent = streamSlowly(response, offered);
  };
  const { response } = await openStream(planner);
  await stuck(() => sent());
  const chunks: Buffer[] = [];
  for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
  const events = eventsOf({ status: 200, headers: {}, text: Buffer.concat(chunks).toString() });
  assert.equal(events.pop(), '[DONE]');
  const numbers = events.map((event) => Number(/"content":"(\d+) x/.exec(event)?.[1]));
  assert.deepEqual(numbers, [...Array(offered).keys()]);
});
