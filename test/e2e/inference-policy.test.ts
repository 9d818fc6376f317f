import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { test } from 'node:test';
import type { RejectionCode } from '../../src/domain/rejection.ts';
import { chat, chatBody, errorOf, openCall } from '../support/model-caller.ts';
import { plannerWithService } from '../support/model-mesh.ts';
import { answerChat, beginEvents, chatChunk, sendEvent } from '../support/model-server.ts';
import type { ModelService } from '../support/model-service.ts';

const OTHER = `sha256:${'b'.repeat(64)}`;

/** What policy may take back while a call is under way, and what the call then ends with. */
const CHANGES: Readonly<Record<string, [code: RejectionCode, policy: (service: ModelService) => object]>> = {
  'the measurement is approved no more': [
    'EVIDENCE_MEASUREMENT_UNKNOWN',
    (service) => service.policy(['planner'], { measurements: [OTHER] }),
  ],
  'simulated evidence is accepted no more': [
    'EVIDENCE_SIMULATED',
    (service) => service.policy(['planner'], { accept_simulated_evidence: false }),
  ],
  'the root of its hardware is trusted no more': [
    'EVIDENCE_NOT_TRUSTED',
    (service) => service.policy(['planner'], { evidence_roots: [OTHER] }),
  ],
  'the agent may not use it any more': ['INFERENCE_NOT_PERMITTED', (service) => service.policy(['researcher'])],
};

test('what policy takes back ends calls that are under way at once, and lets no prompt out', async (t) => {
  const { planner, service, mesh } = await plannerWithService(t, { others: { researcher: { start: false } } });
  await planner.waitFor('sidecar_ready');
  for (const [what, [code, policy]] of Object.entries(CHANGES)) {
    await t.test(`${what}: ${code}`, async () => {
      service.answer = (_question, response) => {
        beginEvents(response);
        sendEvent(response, chatChunk('large', 'Hello'));
      };
      const call = openCall(planner, {});
      call.end(chatBody(planner, { stream: true }));
      const [response] = (await once(call, 'response')) as [IncomingMessage];
      let text = '';
      response.on('data', (chunk: Buffer) => (text += chunk.toString()));
      const from = planner.sidecar.mark();
      await mesh.authority.writePolicy('inference/default', policy(service));
      await once(response, 'end');
      assert.match(text, new RegExp(`event: error\ndata: .*"${code}"`), text);
      const before = service.prompts.length;
      assert.equal(errorOf(await chat(planner)).code, code);
      assert.equal(service.prompts.length, before, 'no prompt has arrived');
      service.answer = answerChat;
      await mesh.authority.writePolicy('inference/default', service.policy(['planner']));
      await planner.waitFor('inference_service_attested', () => true, { from });
      assert.equal((await chat(planner)).status, 200);
    });
  }
  await t.test('its certificate is revoked: REVOKED', async () => {
    const { thumbprint } = service;
    const revocation = { kind: 'Revocation', id: 'stolen', certificate: thumbprint, reason: 'stolen' };
    const from = planner.sidecar.mark();
    await mesh.authority.writePolicy('revocations/stolen', revocation);
    await planner.waitFor('state_applied', () => true, { from });
    const before = service.prompts.length;
    assert.equal(errorOf(await chat(planner)).code, 'REVOKED');
    assert.equal(service.prompts.length, before);
  });
});

test('a service of another name gets no prompt, though the mesh knows it', async (t) => {
  const { planner, service } = await plannerWithService(t, {
    policy: { id: 'other' },
    inference: {},
  });
  const reply = await chat(planner);
  assert.equal(errorOf(reply).code, 'INFERENCE_NOT_PERMITTED', reply.text);
  assert.equal(service.questions.length, 0, 'it was not even asked');
});
