import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { firstDifference } from '../../../../src/domain/canonical/text-difference.ts';

describe('firstDifference finds', () => {
  const cases: readonly (readonly [
    title: string,
    approved: string,
    observed: string,
    byteOffset: number,
    line: number,
    column: number,
  ])[] = [
    ['a changed character', 'abc', 'abX', 2, 1, 3],
    ['the first character', 'abc', 'Xbc', 0, 1, 1],
    ['text that was added at the end', 'a\n', 'a\nb', 2, 2, 1],
    ['text that was cut off', 'a\nbc', 'a\nb', 3, 2, 2],
    ['everything gone', 'abc', '', 0, 1, 1],
    ['a difference on a later line', 'a\nb\ncd', 'a\nb\ncX', 5, 3, 2],
    ['a line end and more', 'a\nb', 'ac', 1, 1, 2],
    ['bytes, not code units, behind two-byte characters', 'éa', 'éb', 2, 1, 2],
    ['bytes, not code units, behind three-byte characters', '€a', '€b', 3, 1, 2],
    ['bytes, not code units, behind four-byte characters', '\u{1f600}a', '\u{1f600}b', 4, 1, 2],
    ['a whole character when the second half of a pair differs', 'x\u{1f600}', 'x\u{1f601}', 1, 1, 2],
    ['a whole character when the first half of a pair differs', '\u{1f600}', '\u{1d11e}', 0, 1, 1],
  ];
  for (const [title, approved, observed, byteOffset, line, column] of cases) {
    test(title, () => {
      assert.deepEqual(firstDifference(approved, observed), { byteOffset, line, column, whitespaceOnly: false });
    });
  }

  test('nothing in equal texts', () => {
    assert.equal(firstDifference('', ''), undefined);
    assert.equal(firstDifference('a\n', 'a\n'), undefined);
  });
});

describe('whitespaceOnly', () => {
  const whitespaceOnly = (approved: string, observed: string): boolean | undefined =>
    firstDifference(approved, observed)?.whitespaceOnly;

  test('added, removed, moved and replaced whitespace', () => {
    assert.equal(whitespaceOnly('a b', 'a  b'), true);
    assert.equal(whitespaceOnly('a b\n', 'ab'), true);
    assert.equal(whitespaceOnly('ab c', 'a bc'), true);
    assert.equal(whitespaceOnly('a\tb', 'a\u00a0b'), true);
    assert.equal(whitespaceOnly('', ' \n'), true);
  });

  test('whitespace and something else', () => {
    assert.equal(whitespaceOnly('a b', 'a  c'), false);
    assert.equal(whitespaceOnly('a b', 'a b c'), false);
    assert.equal(whitespaceOnly('a b c', 'a b '), false);
  });

  test('exactly the characters of the Unicode property White_Space', () => {
    for (let codePoint = 0; codePoint <= 0x10ffff; codePoint++) {
      if (codePoint >= 0xd800 && codePoint <= 0xdfff) continue;
      const character = String.fromCodePoint(codePoint);
      const expected = /^\p{White_Space}$/u.test(character);
      if (whitespaceOnly('ab', `a${character}b`) !== expected) assert.fail(`U+${codePoint.toString(16)}`);
    }
  });

  test('what is merely invisible is not excused', () => {
    for (const character of '\u200b\u200c\u200d\u2060\ufeff\u180e\u2800\u3164\u202e\u{e0020}') {
      assert.equal(whitespaceOnly('ab', `a${character}b`), false);
    }
  });
});

test('linear time on large hostile texts', () => {
  const spaces = ' '.repeat(2_000_000);
  assert.deepEqual(firstDifference(`a${spaces}`, `${spaces}b`), {
    byteOffset: 0,
    line: 1,
    column: 1,
    whitespaceOnly: false,
  });
  assert.equal(firstDifference(`a${spaces}b`, `a${'\n'.repeat(2_000_000)}b`)?.whitespaceOnly, true);
});
