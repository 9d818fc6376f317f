import assert from 'node:assert/strict';
import { test } from 'node:test';
import { atMost, printable, table } from '../../../../src/cli/mesh-report/plain-text.ts';

test('what could act on a terminal, or hide something, is written out', () => {
  assert.equal(
    printable('a\u001b[31mb\u0007\u009b\u200b\u202e\u2028\ufeff'),
    'a\\u{1b}[31mb\\u{7}\\u{9b}\\u{200b}\\u{202e}\\u{2028}\\u{feff}',
  );
  assert.equal(printable('tab\tstays, ünïcödé 😀 too'), 'tab\tstays, ünïcödé 😀 too');
  assert.equal(printable('one\ntwo\r'), 'one\\u{a}two\\u{d}');
});

test('columns are aligned, cells made printable', () => {
  assert.equal(
    table(
      ['A', 'LONG'],
      [
        ['x\n', 'y'],
        ['', 'z'],
      ],
    ),
    'A       LONG\nx\\u{a}  y\n        z',
  );
});

test('many lines are cut with their number', () => {
  assert.deepEqual(atMost(['a', 'b', 'c'], 2), ['a', 'b', '… and 1 more']);
  assert.deepEqual(atMost(['a', 'b'], 2), ['a', 'b']);
});
