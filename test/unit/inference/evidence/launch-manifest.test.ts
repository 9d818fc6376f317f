import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as v from 'valibot';
import { sha256Digest } from '../../../../src/domain/canonical/digest.ts';
import { inferenceConfigSchema } from '../../../../src/inference/config.ts';
import { launchManifest, measureLaunch } from '../../../../src/inference/evidence/launch-manifest.ts';
import { programDigest } from '../../../../src/inference/evidence/program-digest.ts';

const input = {
  state_dir: 'state',
  authority: { join_credential: 'credential' },
  models: [{ id: 'sim-small', version: '1' }],
};
const facts = (changes: object = {}) => ({
  config: v.parse(inferenceConfigSchema, { ...input, ...changes }),
  version: '0.1.0',
  program: sha256Digest('program'),
});
const measured = measureLaunch(launchManifest(facts()));

test('the same service measures the same wherever it listens and keeps its files', () => {
  const elsewhere = facts({ state_dir: 'other', listen: '127.0.0.1:1', metrics: { listen: '127.0.0.1:2' } });
  assert.equal(measureLaunch(launchManifest(elsewhere)), measured);
});

const CHANGES: readonly [string, ReturnType<typeof facts>][] = [
  ['another model', facts({ models: [{ id: 'sim-smalm', version: '1' }] })],
  ['another version of a model', facts({ models: [{ id: 'sim-small', version: '2' }] })],
  ['another rate', facts({ tokens_per_second: 1 })],
  ['another limit', facts({ limits: { body_bytes: 1024 } })],
  ['another version', { ...facts(), version: '0.1.1' }],
  ['another byte of the program', { ...facts(), program: sha256Digest('prograM') }],
];
for (const [name, changed] of CHANGES) {
  test(`${name} is another measurement`, () => assert.notEqual(measureLaunch(launchManifest(changed)), measured));
}

test('the program measures itself, the same each time', () => {
  assert.equal(programDigest(), programDigest());
});
