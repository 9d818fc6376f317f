import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AuthorityConfigSchema, AUTHORITY_ENV_PREFIX } from '../../../src/authority/config.ts';
import { lifetimesOf, svidsEndFirst } from '../../../src/authority/keys/lifetimes.ts';
import { ConfigError, loadConfig } from '../../../src/platform/config-source.ts';

const load = (env: Record<string, string>, flags: Record<string, string> = {}) =>
  loadConfig({ schema: AuthorityConfigSchema, env, flags, envPrefix: AUTHORITY_ENV_PREFIX });

test('two settings are enough; all else has a default', () => {
  const config = load({ AIT_AUTHORITY_TRUST_DOMAIN: 'acme.example' }, { policy_dir: '/p' });
  assert.deepEqual(config.listen, { host: '127.0.0.1', port: 17100 });
  assert.deepEqual(config.metrics_listen, { host: '127.0.0.1', port: 17190 });
  assert.equal(config.outage_tolerance, 3_600_000);
  assert.equal(lifetimesOf(config).svidMs, 3 * 3_600_000);
  assert.equal(lifetimesOf(config).aitMs, 1.5 * 3_600_000);
  assert.equal(config.key_rotation, 90 * 86_400_000);
  assert.ok(Object.isFrozen(config));
});

test('all mistakes are told at once', () => {
  const wrong = {
    trust_domain: 'ACME',
    listen: 'nowhere',
    svid_lifetime: '1s',
    outage_tolerance: 'an hour',
    log_level: 'loud',
    advertise: '10.0.0.1',
  };
  assert.throws(
    () => load({}, wrong),
    (error: unknown) => {
      assert.ok(error instanceof ConfigError);
      const paths = error.problems.map(({ path }) => path).toSorted();
      assert.deepEqual(paths, [...Object.keys(wrong), 'policy_dir'].toSorted());
      return true;
    },
  );
});

test('a key rotation of nothing is never; of almost nothing, a mistake that says what to write', () => {
  const env = { AIT_AUTHORITY_TRUST_DOMAIN: 'acme.example', AIT_AUTHORITY_POLICY_DIR: '/p' };
  assert.equal(load(env, { key_rotation: '0s' }).key_rotation, 0);
  assert.equal(load(env, { key_rotation: '12h' }).key_rotation, 12 * 3_600_000);
  for (const key_rotation of ['1s', '0', 'never', '4000d']) {
    assert.throws(() => load(env, { key_rotation }), /key_rotation.*or 0s for never/s);
  }
});

test('certificates below 2.5 tolerances may end before the tolerance does', () => {
  const of = (svid_lifetime?: number) =>
    svidsEndFirst(lifetimesOf({ svid_lifetime, outage_tolerance: 1000, key_rotation: 0 }));
  assert.deepEqual([of(), of(2_500), of(2_499)], [false, false, true]);
});
