import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { test } from 'node:test';
import type { RejectionCode } from '../../src/domain/rejection.ts';
import { chat, chatBody, errorOf, openCall } from '../support/model-caller.ts';
import { plannerWithProvider, plannerWithService } from '../support/model-mesh.ts';
import { answerChat, beginEvents, chatChunk, sendEvent, type Answering } from '../support/model-server.ts';
import type { EvidenceFacts, ModelService } from '../support/model-service.ts';
import { pollUntil } from '../support/poll-until.ts';
import type { TestAgent } from '../support/test-agent.ts';

const endless: Answering = (_question, response) => {
  beginEvents(response);
  sendEvent(response, chatChunk('large', 'Hello'));
};

/** A call whose answer has begun, with how it ends. */
async function streaming(planner: TestAgent): Promise<{ readonly call: ClientRequest; readonly end: Promise<string> }> {
  const call = openCall(planner, {});
  call.end(chatBody(planner, { stream: true }));
  const [response] = (await once(call, 'response')) as [IncomingMessage];
  let text = '';
  const end = new Promise<string>((resolve, reject) => {
    response.on('data', (chunk: Buffer) => (text += chunk.toString()));
    response.once('end', () => resolve(text));
    response.once('error', reject);
  });
  await once(response, 'data');
  return { call, end };
}

function endsWith(text: string, code: RejectionCode): void {
  assert.match(text, new RegExp(`event: error\ndata: .*"code":"${code}"`), text);
  assert.doesNotMatch(text, /\[DONE\]|sha256:/);
}

const inOrder = (planner: TestAgent) =>
  pollUntil(
    () => chat(planner),
    ({ status }) => status === 200,
    { deadlineMs: 20_000 },
  );

test('what the agent is no more ends its calls that are under way, at once and for the reason it is', async (t) => {
  const { planner, model, mesh } = await plannerWithProvider(t);
  const ending = async (code: RejectionCode, change: () => Promise<unknown>): Promise<void> => {
    model.answer = endless;
    const { end } = await streaming(planner);
    const gone = model.hangUps;
    await change();
    endsWith(await end, code);
    await pollUntil(
      () => model.hangUps,
      (count) => count === gone + 1,
    );
    model.answer = answerChat;
  };
  await t.test('its files drift', async () => {
    await ending('KNOWLEDGE_BASE_DRIFT', () => planner.files.writeKnowledge('Other facts.\n'));
    await planner.files.writeKnowledge('What planner knows.\n');
    await inOrder(planner);
  });
  await t.test('another call of its shows another prompt', async () => {
    await ending('SYSTEM_PROMPT_DRIFT', () => chat(planner, { system: 'Obey me.' }));
    await inOrder(planner);
  });
  await t.test('it is revoked', async () => {
    const revocation = { kind: 'Revocation', id: 'gone', agent: 'planner', reason: 'stolen' };
    await ending('REVOKED', () => mesh.authority.writePolicy('revocations/gone', revocation));
    assert.equal(errorOf(await chat(planner)).code, 'REVOKED');
  });
});

test("the service's certificate is revoked: the call that it answers ends", async (t) => {
  const { planner, service, mesh } = await plannerWithService(t);
  await planner.waitFor('sidecar_ready');
  service.answer = endless;
  const { end } = await streaming(planner);
  const revocation = { kind: 'Revocation', id: 'stolen', certificate: service.thumbprint, reason: 'stolen' };
  await mesh.authority.writePolicy('revocations/stolen', revocation);
  endsWith(await end, 'REVOKED');
  assert.equal(service.prompts.length, 1);
});

/** What may change after the evidence was asked for, and before the prompt that waits for it goes out. */
const MEANWHILE: Readonly<Record<string, [code: RejectionCode, policy: (service: ModelService) => object]>> = {
  'policy approves another measurement': [
    'EVIDENCE_MEASUREMENT_UNKNOWN',
    (service) => service.policy(['planner'], { measurements: [`sha256:${'b'.repeat(64)}`] }),
  ],
  'policy takes the service back': ['INFERENCE_NOT_PERMITTED', (service) => service.policy(['researcher'])],
};

for (const [what, [code, policy]] of Object.entries(MEANWHILE)) {
  test(`a prompt that waits for evidence stays here when ${what} meanwhile: ${code}`, async (t) => {
    const { planner, service, mesh } = await plannerWithService(t, { others: { researcher: { start: false } } });
    await planner.waitFor('sidecar_ready');
    // A call under way takes the one connection that waits, so that the next has to open another.
    service.answer = endless;
    const first = await streaming(planner);
    let release = (): void => undefined;
    const asked = new Promise<void>((resolve) => {
      service.evidence = ({ sign }: EvidenceFacts) =>
        new Promise((answer) => {
          release = () => answer({ evidence: sign() });
          resolve();
        });
    });
    const second = chat(planner, { user: 'a secret' });
    await asked;
    await mesh.authority.writePolicy('inference/default', policy(service));
    endsWith(await first.end, code);
    release();
    const reply = await second;
    assert.equal(errorOf(reply).code, code, reply.text);
    assert.equal(service.prompts.length, 1, 'only the first prompt has left');
  });
}
