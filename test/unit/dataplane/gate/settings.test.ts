import assert from 'node:assert/strict';
import { test } from 'node:test';
import { translateSettings } from '../../../../src/dataplane/gate/settings.ts';
import { frames } from '../../../support/http2-bytes.ts';

function told(from: 'client' | 'server', first: boolean, ...entries: readonly (readonly [number, number])[]) {
  const payload = frames.settings(...entries).subarray(9);
  const translated = translateSettings(payload, { from, first, maxConcurrent: 100, maxHeaderListBytes: 5000 });
  return { ...translated, entries: Object.fromEntries(translated.entries.map(([id, value]) => [id, value])) };
}

test('first SETTINGS that say nothing have our limits', () => {
  assert.deepEqual(told('client', true).entries, { 2: 0, 6: 5000 });
  assert.deepEqual(told('server', true).entries, { 3: 100, 6: 5000 });
});

test('later ones say what has changed, and no more', () => {
  assert.deepEqual(told('client', false), { entries: {}, initialWindow: undefined, maxFrame: undefined });
  assert.deepEqual(told('server', false, [4, 9]), { entries: { 4: 9 }, initialWindow: 9, maxFrame: undefined });
});

test('limits are lowered to ours, and never raised', () => {
  assert.deepEqual(told('server', true, [3, 7], [6, 100]).entries, { 3: 7, 6: 100 });
  assert.deepEqual(told('server', true, [3, 0xffff_ffff], [6, 0xffff_ffff]).entries, { 3: 100, 6: 5000 });
  assert.deepEqual(told('server', false, [3, 0]).entries, { 3: 0 });
  assert.equal(told('server', false, [5, 0xff_ffff]).maxFrame, 1_048_576);
  assert.deepEqual(told('client', false, [5, 16_384]), {
    entries: { 5: 16_384 },
    initialWindow: undefined,
    maxFrame: 16_384,
  });
});

test('what stands twice counts as it stands last', () => {
  assert.deepEqual(told('client', false, [4, 1], [4, 2]), { entries: { 4: 2 }, initialWindow: 2, maxFrame: undefined });
});

test('pushes, the table, CONNECT and what nobody knows go no further', () => {
  assert.deepEqual(told('client', true, [1, 9999], [2, 1], [3, 5], [8, 1], [0x10, 1], [0xffff, 1]).entries, {
    2: 0,
    6: 5000,
  });
});
