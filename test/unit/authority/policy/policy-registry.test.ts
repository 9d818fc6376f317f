import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readPolicyFile, type PolicyRecord } from '../../../../src/authority/policy/policy-objects.ts';
import { mergePolicy } from '../../../../src/authority/policy/policy-registry.ts';
import { TRUST_DOMAIN } from '../../../support/authority-harness.ts';
import { agentYaml, baselineYaml } from '../../../support/policy-files.ts';

type Records = ReadonlyMap<string, PolicyRecord>;

/** What is in force after a directory looked like each of these, one after the other. */
function after(...states: readonly Readonly<Record<string, string>>[]) {
  let records: Records = new Map();
  let problems: string[] = [];
  for (const files of states) {
    const read = Object.entries(files).map(([file, text]) => readPolicyFile(file, text, TRUST_DOMAIN));
    const merged = mergePolicy(records, read);
    records = merged.records;
    problems = merged.problems.map(({ severity, file, message }) => `${severity} ${file} ${message}`);
  }
  const inForce = [...records.values()].filter(({ withdrawn }) => !withdrawn);
  return { keys: inForce.map(({ key }) => key).toSorted(), problems, records };
}

const v1 = { 'b.yaml': baselineYaml('v1', 'a') };

test('a file that vanished, was emptied or broke takes nothing with it', () => {
  for (const next of [{}, { 'b.yaml': '' }, { 'b.yaml': '# all gone\n' }, { 'b.yaml': 'kind: [' }]) {
    const { keys, problems } = after(v1, next);
    assert.deepEqual(keys, ['baseline v1'], JSON.stringify(next));
    assert.notDeepEqual(problems, []);
  }
});

test('a document that is cut off its file takes nothing with it', () => {
  const both = { 'b.yaml': `${baselineYaml('v1', 'a')}---\n${baselineYaml('v2', 'a')}` };
  assert.deepEqual(after(both, v1).keys, ['baseline v1', 'baseline v2']);
});

test('withdrawal in so many words takes effect', () => {
  const { records } = after(v1, { 'b.yaml': baselineYaml('v1', 'a', 'revoked') });
  const [record] = records.values();
  assert.equal(record?.object.kind === 'baseline' && record.object.value.state, 'revoked');
  const grant = 'kind: Grant\nfrom: a\nto: b\n';
  assert.deepEqual(after({ 'g.yaml': grant }, { 'g.yaml': `${grant}state: withdrawn\n` }).keys, []);
});

test('taking a callee off the list of a grant that is still there withdraws it', () => {
  const list = (to: string) => ({ 'g.yaml': `kind: Grant\nfrom: a\nto: ${to}\n` });
  assert.deepEqual(after(list('[b, c]'), list('[c]')).keys, ['grant a>c']);
  assert.deepEqual(after(list('[b, c]'), { 'g.yaml': 'kind: Grant\nfrom: z\nto: c\n' }).keys, [
    'grant a>b',
    'grant a>c',
    'grant z>c',
  ]);
});

test('a new file that is broken has no effect, nor has its good document', () => {
  assert.deepEqual(after({ 'n.yaml': `${agentYaml('a')}---\nkind: Nonsense\n` }).keys, []);
});

test('an object in two files belongs to the one it is in force from; the other has no effect', () => {
  const later = { ...v1, 'a.yaml': `${baselineYaml('v1', 'evil')}---\n${agentYaml('x')}` };
  const { keys, problems, records } = after(v1, later);
  assert.deepEqual(keys, ['baseline v1']);
  assert.equal(records.get('baseline v1')?.file, 'b.yaml');
  assert.match(problems.join(), /error a\.yaml baseline v1 is defined in b\.yaml already/);
  assert.equal(after(later).records.get('baseline v1')?.file, 'a.yaml');
});

test('an owner that broke keeps its object; one that vanished hands it over', () => {
  const rival = { 'a.yaml': baselineYaml('v1', 'other') };
  assert.equal(after(v1, { ...rival, 'b.yaml': 'kind: [' }).records.get('baseline v1')?.file, 'b.yaml');
  const moved = after(v1, { 'sub/b.yaml': baselineYaml('v1', 'a') });
  assert.equal(moved.records.get('baseline v1')?.file, 'sub/b.yaml');
  assert.deepEqual(moved.problems, []);
});
