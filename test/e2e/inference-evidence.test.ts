import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RejectionCode } from '../../src/domain/rejection.ts';
import { chat, errorOf } from '../support/model-caller.ts';
import { plannerWithService } from '../support/model-mesh.ts';
import { pollUntil } from '../support/poll-until.ts';
import { newRoot, type EvidenceFacts } from '../support/model-service.ts';

const OTHER_DIGEST = `sha256:${'b'.repeat(64)}` as const;

/** What a service could say instead of the truth, and what it is refused for. */
function lies(
  accepted: () => string,
): Record<string, [code: RejectionCode, evidence: (facts: EvidenceFacts) => object]> {
  const foreign = newRoot();
  let earlier: string | undefined;
  return {
    'another enclave: a measurement nobody approved': [
      'EVIDENCE_MEASUREMENT_UNKNOWN',
      ({ sign }) => ({ evidence: sign({ measurement: OTHER_DIGEST }) }),
    ],
    'evidence for another TLS key: passed on by somebody in between': [
      'EVIDENCE_KEY_MISMATCH',
      ({ sign }) => ({ evidence: sign({ tls_key: OTHER_DIGEST }) }),
    ],
    'evidence from before: the same answer to every question': [
      'EVIDENCE_STALE',
      ({ sign }) => {
        earlier ??= sign({ nonce: 'A'.repeat(43) });
        return { evidence: earlier };
      },
    ],
    'evidence that was accepted on another connection': ['EVIDENCE_STALE', () => ({ evidence: accepted() })],
    'evidence that is too old': [
      'EVIDENCE_STALE',
      ({ claims, sign }) => ({ evidence: sign({ iat: claims.iat - 3600 }) }),
    ],
    'evidence by hardware of another maker': ['EVIDENCE_NOT_TRUSTED', ({ sign }) => ({ evidence: sign({}, foreign) })],
    'one bit of the signature is another': [
      'EVIDENCE_NOT_TRUSTED',
      ({ sign }) => ({ evidence: sign().replace(/.(?=.$)/, (last) => (last === 'A' ? 'B' : 'A')) }),
    ],
    'no evidence at all': ['INFERENCE_ANSWER_INVALID', () => ({})],
  };
}

test('without acceptable evidence nothing leaves the machine, and the sidecar says why', async (t) => {
  const { planner, service } = await plannerWithService(t, { inference: { attestation_interval: '1s' } });
  await planner.waitFor('sidecar_ready');
  let accepted = '';
  const good = ({ sign }: EvidenceFacts) => ({ evidence: (accepted = sign()) });
  service.evidence = good;
  await pollUntil(
    () => accepted,
    (evidence) => evidence !== '',
  );
  assert.equal((await chat(planner)).status, 200);
  for (const [lie, [code, evidence]] of Object.entries(lies(() => accepted))) {
    await t.test(lie, async () => {
      const [from, before] = [planner.sidecar.mark(), service.prompts.length];
      service.evidence = evidence;
      const refused = await planner.waitFor('inference_service_refused', () => true, { from });
      assert.equal(refused['code'], code);
      const reply = await chat(planner, { user: 'a secret' });
      assert.equal(errorOf(reply).code, code, reply.text);
      assert.equal(service.prompts.length, before, 'no prompt has arrived');
      assert.match(await planner.admin('/readyz'), new RegExp(`"inference".*${code}`, 's'));
      assert.deepEqual(JSON.parse(await planner.admin('/readyz/mesh')), []);
      service.evidence = good;
      // A call does not wait for the next look on schedule.
      assert.equal((await chat(planner)).status, 200);
      await planner.waitFor('inference_service_attested', () => true, { from });
    });
  }
  assert.ok((await planner.metric('ait_attestation_checks_total', { result: 'EVIDENCE_STALE' })) >= 2);
});
