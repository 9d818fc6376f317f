import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PolicyReader } from '../../../../src/authority/policy/policy-reader.ts';
import { TRUST_DOMAIN } from '../../../support/authority-harness.ts';
import { agentYaml } from '../../../support/policy-files.ts';

const texts = (files: Readonly<Record<string, string>>) => new Map(Object.entries(files));

test('a file is read again when its text is another, and only then', () => {
  const reader = new PolicyReader(TRUST_DOMAIN);
  const files = { 'a.yaml': agentYaml('a'), 'b.yaml': agentYaml('b') };
  const [firstA, firstB] = reader.read(texts(files));
  const [secondA, secondB] = reader.read(texts({ ...files, 'b.yaml': agentYaml('b', 'retired') }));
  assert.equal(secondA, firstA, 'the very same object: nothing to compare');
  assert.notEqual(secondB, firstB);
  const object = secondB?.file.records[0]?.object;
  assert.ok(object?.kind === 'agent' && object.value.lifecycle === 'retired');
});

test('the same text in another file is another file, and one that came back is read anew', () => {
  const reader = new PolicyReader(TRUST_DOMAIN);
  const [before] = reader.read(texts({ 'a.yaml': agentYaml('a') }));
  const [moved] = reader.read(texts({ 'b.yaml': agentYaml('a') }));
  assert.equal(moved?.file.file, 'b.yaml');
  assert.equal(moved.file.records[0]?.file, 'b.yaml');
  assert.deepEqual(reader.read(texts({})), []);
  const [back] = reader.read(texts({ 'a.yaml': agentYaml('a') }));
  assert.notEqual(back, before);
  assert.deepEqual(back, before);
});
