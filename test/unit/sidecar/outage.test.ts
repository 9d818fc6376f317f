import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { VerifiedToken } from '../../../src/domain/identity-token.ts';
import type { MeshState } from '../../../src/domain/mesh-state.ts';
import { outageMargin } from '../../../src/sidecar/outage.ts';

const NOW = 1_000_000;

function question(ends: { state: number; ait: number; svid: number }) {
  return {
    state: { head: { notAfter: ends.state } } as MeshState,
    generation: { notAfter: ends.svid, token: { claims: { exp: ends.ait / 1000 } } as VerifiedToken },
    now: NOW,
  };
}

test('what ends first bounds life without the authority; on a tie it is the state', () => {
  const [soon, later] = [NOW + 5_000, NOW + 9_000];
  const at = (ends: Parameters<typeof question>[0]) => outageMargin(question(ends));
  assert.deepEqual(at({ state: soon, ait: later, svid: later }), { remainingMs: 5_000, bound: 'state' });
  assert.deepEqual(at({ state: later, ait: soon, svid: later }), { remainingMs: 5_000, bound: 'ait' });
  assert.deepEqual(at({ state: later, ait: later, svid: soon }), { remainingMs: 5_000, bound: 'svid' });
  assert.deepEqual(at({ state: soon, ait: soon, svid: soon }), { remainingMs: 5_000, bound: 'state' });
});

test('never negative, and unknown before all three were there', () => {
  const past = question({ state: NOW - 1, ait: NOW + 5_000, svid: NOW + 5_000 });
  assert.deepEqual(outageMargin(past), { remainingMs: 0, bound: 'state' });
  assert.equal(outageMargin({ ...past, state: undefined }), undefined);
  assert.equal(outageMargin({ ...past, generation: undefined }), undefined);
  assert.equal(outageMargin({ ...past, generation: { notAfter: NOW, token: undefined } }), undefined);
});
