import assert from 'node:assert/strict';
import { test } from 'node:test';
import { JoinCredentials } from '../../../../src/authority/membership/join-credentials.ts';
import { agentId, parseTrustDomain } from '../../../../src/domain/agent-id.ts';
import { systemRandom } from '../../../../src/platform/random.ts';
import { MemoryStore } from '../../../fakes/memory-store.ts';

const agent = agentId(parseTrustDomain('acme.example'), 'planner');

function setUp() {
  const store = new MemoryStore();
  const time = { now: 1_000 };
  const clock = { now: () => time.now, monotonic: () => time.now };
  return { store, time, credentials: new JoinCredentials({ store, clock, random: systemRandom }) };
}

test('the store never holds the secret', async () => {
  const { store, credentials } = setUp();
  const { secret } = await credentials.create({ agent, uses: 1, lifetimeMs: 10 });
  const text = JSON.stringify(await store.list('join_credentials'));
  for (const encoding of ['hex', 'base64', 'base64url'] as const) assert.ok(!text.includes(secret.toString(encoding)));
});

test('each use is counted, also under a race, and the end is the end', async () => {
  const { credentials, time } = setUp();
  const { id, secret } = await credentials.create({ agent, uses: 3, lifetimeMs: 10 });
  const spent = await Promise.all(Array.from({ length: 8 }, () => credentials.spend({ id, secret })));
  assert.equal(spent.filter(({ ok }) => ok).length, 3);
  const codes = new Set(spent.map((outcome) => (outcome.ok ? 'ok' : outcome.code)));
  assert.deepEqual(codes, new Set(['ok', 'JOIN_CREDENTIAL_USED_UP']));
  time.now = 1_010;
  const late = await credentials.spend({ id, secret });
  assert.equal(!late.ok && late.code, 'JOIN_CREDENTIAL_EXPIRED');
});

test('a wrong secret says nothing about the credential, however old or used up it is', async () => {
  const { credentials, time } = setUp();
  const { id } = await credentials.create({ agent, uses: 1, lifetimeMs: 10 });
  time.now = 5_000;
  for (const secret of [Buffer.alloc(32), Buffer.alloc(0), Buffer.alloc(1_000)]) {
    const outcome = await credentials.spend({ id, secret });
    assert.equal(!outcome.ok && outcome.code, 'JOIN_CREDENTIAL_UNKNOWN');
  }
});

test('an objection costs no use', async () => {
  const { credentials } = setUp();
  const { id, secret } = await credentials.create({ agent, uses: 1, lifetimeMs: 10 });
  const no = { ok: false, grpc: 'PERMISSION_DENIED', code: 'NO', detail: '' } as const;
  assert.equal((await credentials.spend({ id, secret, mayJoin: () => no })).ok, false);
  assert.equal((await credentials.spend({ id, secret })).ok, true);
});
