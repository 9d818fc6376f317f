import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isInForce, matchBaseline, type Baseline } from '../../../src/domain/baseline.ts';
import { sha256Digest } from '../../../src/domain/canonical/digest.ts';
import { ASSURANCES, DIMENSIONS, meetsAssurance, type Measurement } from '../../../src/domain/measurement.ts';
import { baseline, NOW } from '../../support/admission-world.ts';
import { MEASUREMENT } from '../crypto/fixture.ts';

const match = (measurement: Measurement, baselines: readonly Baseline[], heldUnder?: string) =>
  matchBaseline(measurement, baselines, { now: NOW, heldUnder });
const prompt = (text: string): Measurement['system_prompt'] => ({
  prompts: { main: { hash: sha256Digest(text), canonicalization: 'ait-text-1' } },
  assurance: 'at_rest',
});
const tools = (text: string): Measurement['tools'] => ({
  canonicalization: 'ait-json-1',
  tools: { search: sha256Digest(text) },
  assurance: 'at_rest',
});

test('no baselines match nothing', () => {
  assert.equal(match(MEASUREMENT, []).outcome, 'none_in_force');
});

test("one baseline must match in all dimensions: v1's prompt with v2's tools, both approved, is drift", () => {
  const v1: Measurement = { ...MEASUREMENT, system_prompt: prompt('1'), tools: tools('1') };
  const v2: Measurement = { ...MEASUREMENT, system_prompt: prompt('2'), tools: tools('2') };
  const approved = [baseline('v1', { digests: v1 }), baseline('v2', { digests: v2 })];
  assert.equal(match(v1, approved).outcome, 'match');
  assert.equal(match(v2, approved).outcome, 'match');
  assert.equal(match({ ...v1, tools: v2.tools }, approved).outcome, 'drift');
});

test('drift is told against the baseline that shares most; of two that share as much, the newest', () => {
  const far = baseline('far', {
    digests: { ...MEASUREMENT, system_prompt: prompt('x'), tools: tools('x') },
    approvedAt: NOW,
  });
  const near = baseline('near', { digests: { ...MEASUREMENT, tools: tools('x') }, approvedAt: 1 });
  const newer = baseline('newer', { digests: { ...MEASUREMENT, tools: tools('y') }, approvedAt: 2 });
  for (const order of [
    [far, near, newer],
    [newer, near, far],
  ]) {
    const result = match(MEASUREMENT, order);
    assert.ok(result.outcome === 'drift');
    assert.equal(result.nearest.id, 'newer');
    assert.deepEqual(
      result.differences.map(({ dimension }) => dimension),
      ['tools'],
    );
  }
});

for (const dimension of DIMENSIONS) {
  test(`${dimension}: absent where approved, and there where it is not, are both drift`, () => {
    assert.equal(match({ ...MEASUREMENT, [dimension]: null }, [baseline('b')]).outcome, 'drift');
    assert.equal(
      match(MEASUREMENT, [baseline('b', { digests: { ...MEASUREMENT, [dimension]: null } })]).outcome,
      'drift',
    );
  });
}

test('one prompt or tool more, or less, is drift', () => {
  const more = {
    ...MEASUREMENT,
    tools: {
      canonicalization: 'ait-json-1',
      assurance: 'at_rest',
      tools: { ...MEASUREMENT.tools?.tools, shell: sha256Digest('sh') },
    },
  } as const;
  assert.equal(match(more, [baseline('b')]).outcome, 'drift');
  assert.equal(match(MEASUREMENT, [baseline('b', { digests: more })]).outcome, 'drift');
});

test('the same hexadecimal digits under another rule or another algorithm are another value', () => {
  const { knowledge_base: known } = MEASUREMENT;
  assert.ok(known);
  for (const changed of [
    { ...known, canonicalization: 'ait-text-1' as const },
    { ...known, hash: known.hash.replace('sha256:', 'sha512:') as typeof known.hash },
    { ...known, hash: known.hash.toUpperCase() as typeof known.hash },
    { ...known, hash: known.hash.slice(0, -1) as typeof known.hash },
  ]) {
    assert.equal(match({ ...MEASUREMENT, knowledge_base: changed }, [baseline('b')]).outcome, 'drift');
  }
});

test('an assurance below what is demanded is refused by that name, and never hides drift', () => {
  const demanding = { ...baseline('b').minimumAssurance, knowledge_base: 'attested' } as const;
  const weak = match(MEASUREMENT, [baseline('b', { minimumAssurance: demanding })]);
  assert.ok(weak.outcome === 'assurance_too_low');
  assert.deepEqual(weak.dimensions, ['knowledge_base']);
  assert.equal(
    match({ ...MEASUREMENT, model: null }, [baseline('b', { minimumAssurance: demanding })]).outcome,
    'drift',
  );
  // Where another baseline with the same digests demands less, that one matches.
  const both = match(MEASUREMENT, [
    baseline('strict', { minimumAssurance: demanding, approvedAt: NOW }),
    baseline('lax'),
  ]);
  assert.ok(both.outcome === 'match' && both.baseline.id === 'lax');
});

test('assurances are ordered, and each meets itself', () => {
  for (const [i, actual] of ASSURANCES.entries()) {
    for (const [j, minimum] of ASSURANCES.entries()) assert.equal(meetsAssurance(actual, minimum), i >= j);
  }
});

test('a baseline is in force from its start, until its end, in its state', () => {
  const table: [Partial<Baseline>, fresh: boolean, live: boolean][] = [
    [{}, true, true],
    [{ state: 'retired' }, false, true],
    [{ state: 'revoked' }, false, false],
    [{ notBefore: NOW }, true, true],
    [{ notBefore: NOW + 1 }, false, false],
    [{ notAfter: NOW + 1 }, true, true],
    [{ notAfter: NOW }, false, false],
    [{ state: 'retired', notAfter: NOW }, false, false],
  ];
  for (const [more, fresh, live] of table) {
    assert.deepEqual(
      [isInForce(baseline('b', more), NOW), isInForce(baseline('b', more), NOW, 'b')],
      [fresh, live],
      JSON.stringify(more),
    );
  }
});

test('a retired baseline holds whoever was admitted under that very one, and nobody else', () => {
  const retired = baseline('v1', { state: 'retired' });
  const other = baseline('v2', { digests: { ...MEASUREMENT, system_prompt: prompt('2') } });
  assert.equal(match(MEASUREMENT, [retired, other], 'v1').outcome, 'match');
  // Admitted under v2, and now back at what v1 said: v1 is no longer to be had.
  assert.equal(match(MEASUREMENT, [retired, other], 'v2').outcome, 'drift');
  assert.equal(match(MEASUREMENT, [retired, other]).outcome, 'drift');
  assert.equal(match(MEASUREMENT, [retired], 'v2').outcome, 'none_in_force');
});
