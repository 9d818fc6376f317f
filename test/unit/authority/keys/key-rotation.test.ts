import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KEY_KINDS } from '../../../../src/authority/keys/key-ring.ts';
import { CLOCK_LEEWAY_MS } from '../../../../src/domain/admission-checks.ts';
import { agentId } from '../../../../src/domain/agent-id.ts';
import { verifyChain } from '../../../../src/crypto/chain.ts';
import { generateKeyPair } from '../../../../src/crypto/keys.ts';
import { parseTrustBundle } from '../../../../src/crypto/trust-bundle.ts';
import { DAY, DOMAIN, HOUR, KeyWorld, LIFETIMES, MINUTE } from './key-world.ts';

const LIVES = { root: LIFETIMES.svidMs, ait: LIFETIMES.aitMs + CLOCK_LEEWAY_MS, state: LIFETIMES.outageToleranceMs };
const planner = agentId(DOMAIN, 'planner');

function bundleOf({ authority }: KeyWorld) {
  return parseTrustBundle(authority.bundleJson, DOMAIN);
}

for (const kind of KEY_KINDS) {
  test(`${kind}: published for the outage tolerance, then active; the old one stays until nothing lives that it signed`, async () => {
    const world = await KeyWorld.open();
    const [old] = world.ids(kind);
    const first = bundleOf(world).sequence;
    assert.ok((await world.rotation.rotate(kind, { compromised: false })).ok);
    assert.equal(world.phases(kind), 'active published');
    const published = world.endOf(kind, 'published') - world.now;
    assert.ok(published > LIFETIMES.outageToleranceMs && published <= LIFETIMES.outageToleranceMs + MINUTE);

    await world.pass(LIFETIMES.outageToleranceMs);
    assert.equal(world.phases(kind), 'active published', 'not before everybody has heard of it');
    await world.pass(MINUTE);
    assert.equal(world.phases(kind), 'retiring active');
    const retiring = world.endOf(kind, 'retiring') - world.now;
    assert.ok(retiring > LIVES[kind] && retiring <= LIVES[kind] + MINUTE, `${retiring} ms`);

    await world.pass(LIVES[kind]);
    assert.equal(world.phases(kind), 'retiring active', 'what it signed last has only just ended');
    assert.equal(world.ids(kind)[0], old);
    await world.pass(MINUTE);
    assert.equal(world.phases(kind), 'active');
    assert.notEqual(world.ids(kind)[0], old);
    assert.equal(bundleOf(world).sequence, first + 3, 'grows with each change');
  });

  test(`${kind}: killed and started again in every phase, and long after its end: nothing is lost, skipped or brought back`, async () => {
    for (const pauseMs of [0, 400 * DAY]) {
      const world = await KeyWorld.open();
      const [old] = world.ids(kind);
      await world.rotation.rotate(kind, { compromised: false });
      const [, next] = world.ids(kind);
      const restart = async () => {
        const before = world.authority.ring;
        await world.start();
        assert.deepEqual(world.authority.ring, before);
      };
      await restart();
      world.now = world.endOf(kind, 'published') + pauseMs;
      await world.start();
      assert.equal(world.phases(kind), 'retiring active', 'one phase, however long ago it ended');
      assert.deepEqual(world.ids(kind), [old, next]);
      assert.ok(world.endOf(kind, 'retiring') - world.now > LIVES[kind], 'what it signed last may live from now on');
      await restart();
      world.now = world.endOf(kind, 'retiring') + pauseMs;
      await world.start();
      assert.deepEqual(world.ids(kind), [next]);
      await restart();
    }
  });

  test(`${kind}: a second rotation is refused while one is under way; a compromised key waits for nothing`, async () => {
    const world = await KeyWorld.open();
    for (const untilEnd of ['published', 'retiring'] as const) {
      if (world.phases(kind) === 'active') await world.rotation.rotate(kind, { compromised: false });
      const before = world.authority.ring;
      const again = await world.rotation.rotate(kind, { compromised: false });
      assert.ok(!again.ok && again.code === 'ROTATION_UNDER_WAY');
      assert.equal(world.authority.ring, before);
      world.now = world.endOf(kind, untilEnd);
      await world.rotation.tick();
    }
    await world.rotation.rotate(kind, { compromised: false });
    const suspects = world.ids(kind);
    assert.ok((await world.rotation.rotate(kind, { compromised: true })).ok);
    assert.equal(world.phases(kind), 'active');
    assert.ok(!suspects.includes(world.ids(kind)[0] ?? ''), 'the published one lay beside the stolen one');
    const left = bundleOf(world);
    assert.ok([...left.aitKeys, ...left.stateKeys].every(({ kid }) => !suspects.includes(kid)));
    await world.start();
    assert.ok(!suspects.includes(world.ids(kind)[0] ?? ''), 'also after a restart');
  });
}

test('in every phase of every kind the bundle has all that is needed, and what is signed hangs on it', async () => {
  const world = await KeyWorld.open();
  for (const kind of KEY_KINDS) await world.rotation.rotate(kind, { compromised: false });
  for (let step = 0; step < 40; step += 1) {
    const { roots, aitKeys, stateKeys } = bundleOf(world);
    const { authority } = world;
    assert.ok(aitKeys.some(({ kid }) => kid === authority.aitKey.keyId));
    assert.ok(stateKeys.some(({ kid }) => kid === authority.stateKey.keyId));
    assert.ok(roots.includes(authority.rootPem));
    const { der } = authority.issueMemberSvid(planner, generateKeyPair().publicKey);
    assert.ok(verifyChain({ leaf: der, roots: authority.roots, at: world.now }).ok);
    await world.pass(10 * MINUTE);
  }
  assert.deepEqual(
    KEY_KINDS.map((kind) => world.phases(kind)),
    ['active', 'active', 'active'],
  );
});

test('a certificate that was issued a moment before the switch is still believed in its last moment', async () => {
  const world = await KeyWorld.open();
  await world.rotation.rotate('root', { compromised: false });
  world.now = world.endOf('root', 'published') - 1;
  const { der, notAfter } = world.authority.issueMemberSvid(planner, generateKeyPair().publicKey);
  await world.pass(1);
  assert.equal(world.phases('root'), 'retiring active');
  await world.pass(notAfter - world.now);
  assert.ok(verifyChain({ leaf: der, roots: world.authority.roots, at: world.now }).ok);
});

test('a life that configuration has shortened counts as it was while its products may live', async () => {
  const world = await KeyWorld.open({ ...LIFETIMES, svidMs: 30 * DAY, outageToleranceMs: 7 * DAY });
  world.lifetimes = LIFETIMES;
  await world.start();
  await world.rotation.rotate('root', { compromised: false });
  assert.ok(world.endOf('root', 'published') - world.now > 7 * DAY, 'a state of before may be judged by for so long');
  world.now = world.endOf('root', 'published');
  await world.rotation.tick();
  assert.ok(world.endOf('root', 'retiring') - world.now > 30 * DAY);
});

test('by themselves: AIT and state keys at the configured age, a root at two thirds of its life', async () => {
  const world = await KeyWorld.open({ ...LIFETIMES, keyRotationMs: 90 * DAY });
  const [rootReport] = world.rotation.report();
  assert.ok(rootReport?.notAfter !== undefined);
  await world.pass(90 * DAY - 1);
  assert.deepEqual(
    KEY_KINDS.map((kind) => world.phases(kind)),
    ['active', 'active', 'active'],
  );
  await world.pass(1);
  assert.deepEqual(
    KEY_KINDS.map((kind) => world.phases(kind)),
    ['active', 'active published', 'active published'],
  );

  const never = await KeyWorld.open();
  const { createdAt, notAfter = 0 } = never.rotation.report()[0] ?? assert.fail('there is a root');
  await never.pass(((notAfter - createdAt) * 2) / 3 - HOUR);
  assert.deepEqual(
    KEY_KINDS.map((kind) => never.phases(kind)),
    ['active', 'active', 'active'],
  );
  await never.pass(2 * HOUR);
  assert.deepEqual(
    KEY_KINDS.map((kind) => never.phases(kind)),
    ['active published', 'active', 'active'],
  );
});

test('a change that cannot be stored is not made', async () => {
  const world = await KeyWorld.open();
  const before = world.authority.ring;
  const full = new Error('no space left on device');
  world.store.commit = () => Promise.reject(full);
  await assert.rejects(world.rotation.rotate('ait', { compromised: true }), full);
  assert.equal(world.authority.ring, before);
});

test('what operators see has no secret in it', async () => {
  const world = await KeyWorld.open();
  const shown = JSON.stringify(world.rotation.report());
  assert.ok(!/PRIVATE|BEGIN/.test(shown), shown);
  assert.equal(world.rotation.report().length, 3);
  assert.ok(!/PRIVATE|BEGIN/.test(JSON.stringify(world.log.lines)));
});
