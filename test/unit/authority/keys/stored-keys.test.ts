import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generateKeyPair, privateKeyToPem } from '../../../../src/crypto/keys.ts';
import { createRoot } from '../../../../src/crypto/x509-issuer.ts';
import type { JsonObject, JsonValue } from '../../../../src/domain/canonical/strict-json.ts';
import { keysToStore, readStoredKeys } from '../../../../src/authority/keys/stored-keys.ts';
import { DAY, DOMAIN, KeyWorld, LIFETIMES } from './key-world.ts';

const NOW = Date.UTC(2026, 0, 15);
const at = { now: NOW, lifetimes: LIFETIMES };

function firstFormat(): JsonObject {
  const root = createRoot({
    trustDomain: DOMAIN,
    commonName: 'ait-mesh acme.example',
    notBefore: NOW - 300 * DAY,
    notAfter: NOW + 3000 * DAY,
  });
  return {
    trust_domain: DOMAIN,
    root_certificate: root.certPem,
    root_key: root.keyPem,
    ait_key: privateKeyToPem(generateKeyPair().privateKey),
    state_key: privateKeyToPem(generateKeyPair().privateKey),
  };
}

test('the format of before there were phases is read, upgraded once, and means the same', async () => {
  const stored = firstFormat();
  const world = new KeyWorld();
  await world.store.commit([{ kind: 'put', collection: 'authority_keys', key: 'current', value: stored }]);
  await world.start();
  assert.equal(world.authority.rootPem, stored['root_certificate']);
  const { keys } = world.authority.ring;
  assert.deepEqual(
    keys.map(({ kind, phase, keyPem }) => [kind, phase, keyPem]),
    [
      ['root', 'active', stored['root_key']],
      ['ait', 'active', stored['ait_key']],
      ['state', 'active', stored['state_key']],
    ],
  );
  assert.equal(keys[0]?.createdAt, NOW - 300 * DAY, 'a root is as old as its certificate says');
  const upgraded = await world.store.get('authority_keys', 'current');
  assert.equal((upgraded as JsonObject)['format'], 2);
  const bundle = world.authority.bundleJson;
  await world.start();
  assert.equal(world.authority.bundleJson, bundle);
});

test('what is written is read as it was, in every phase', async () => {
  const world = await KeyWorld.open();
  await world.rotation.rotate('root', { compromised: false });
  await world.rotation.rotate('ait', { compromised: false });
  world.now = world.endOf('ait', 'published');
  await world.rotation.tick();
  const { ring } = world.authority;
  assert.deepEqual(readStoredKeys(keysToStore(ring), at), ring);
});

test('a damaged one is a clear error that names the member, and nothing of a key', async () => {
  const good = keysToStore((await KeyWorld.open()).authority.ring) as unknown as {
    keys: readonly Record<string, string>[];
  };
  const [root = {}, ait = {}, state = {}] = good.keys;
  const other = privateKeyToPem(generateKeyPair().privateKey);
  const withKeys = (...keys: JsonValue[]) => ({ ...good, keys }) as JsonValue;
  const damaged: readonly [string, JsonValue, RegExp][] = [
    ['nothing', null, /keys: not an object/],
    ['another format', { ...good, format: 3 }, /format: .*another version/],
    ['no sequence', { ...good, sequence: 0 }, /sequence/],
    ['no keys', withKeys(), /keys: not 3 to/],
    ['no state key', withKeys(root, ait, { ...ait, key: other }), /2 active keys of kind ait/],
    ['none active', withKeys(root, ait, { ...state, phase: 'retiring', ends_at: 1 }), /0 active keys of kind state/],
    ['an active key with an end', withKeys(root, { ...ait, ends_at: 1 }, state), /keys\[1\]\.ends_at/],
    [
      'a retiring key without',
      withKeys(root, ait, state, { ...ait, phase: 'retiring', key: other }),
      /keys\[3\]\.ends_at/,
    ],
    ['one key twice', withKeys(root, ait, { ...state, key: ait['key'] ?? '' }), /stands there twice/],
    ['a key cut short', withKeys(root, { ...ait, key: ait['key']?.slice(0, 60) ?? '' }, state), /keys\[1\]\.key/],
    ['no key at all', withKeys(root, { ...ait, key: root['certificate'] ?? '' }, state), /not a private key/],
    ["a root with another's key", withKeys({ ...root, key: other }, ait, state), /do not belong together/],
    [
      'a root without certificate',
      withKeys({ ...root, kind: 'root', certificate: 7 }, ait, state),
      /keys\[0\]\.certificate/,
    ],
    ['an unknown member', withKeys(root, { ...ait, note: 'x' }, state), /does not belong there/],
    ['the first format, half of it', { root_key: root['key'] ?? '' }, /"trust_domain" is missing/],
  ];
  for (const [name, value, message] of damaged) {
    assert.throws(
      () => readStoredKeys(value, at),
      (error: Error & { code?: string; hint?: string }) => {
        assert.equal(error.code, 'STATE_FILE_CORRUPT', name);
        assert.match(error.message, message, name);
        assert.match(String(error.hint), /backup/);
        assert.ok(!error.message.includes('BEGIN'), name);
        return true;
      },
    );
  }
});
