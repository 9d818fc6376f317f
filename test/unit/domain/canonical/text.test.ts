import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { canonicalizeText } from '../../../../src/domain/canonical/text.ts';

const canonical = (text: string): string => canonicalizeText(Buffer.from(text));

describe('canonicalizeText forgives', () => {
  test('one leading byte order mark', () => assert.equal(canonical('\ufeffa'), 'a'));
  test('CRLF and CR', () => assert.equal(canonical('a\r\nb\rc\n'), 'a\nb\nc\n'));
});

describe('canonicalizeText does not forgive', () => {
  test('a second byte order mark', () => assert.equal(canonical('\ufeff\ufeffa'), '\ufeffa'));
  test('a byte order mark after a line end', () => assert.equal(canonical('\r\n\ufeffa'), '\n\ufeffa'));
  test('a missing last newline', () => assert.notEqual(canonical('a'), canonical('a\n')));
  test('a blank line more', () => assert.notEqual(canonical('a\r\rb'), canonical('a\rb')));
  test('trailing whitespace', () => assert.equal(canonical('a \t'), 'a \t'));
  test('another Unicode form of the same letter', () => {
    assert.notEqual(canonical('\u00e9'), canonical('e\u0301'));
    assert.notEqual(canonical('\u212b'), canonical('\u00c5'));
  });
});

describe('canonicalizeText refuses', () => {
  test('no bytes', () => assert.throws(() => canonical(''), { name: 'TextError', code: 'empty' }));
  test('a byte order mark and nothing else', () => assert.throws(() => canonical('\ufeff'), { code: 'empty' }));
  test('NUL', () => assert.throws(() => canonical('a\0'), { code: 'binary' }));
  test('invalid UTF-8, and is as good as new afterwards', () => {
    assert.throws(() => canonicalizeText(Uint8Array.of(0x61, 0xe2, 0x82)), { code: 'not_utf8' });
    assert.equal(canonicalizeText(Uint8Array.of(0x61)), 'a');
  });
});

test('reads only its part of a larger buffer', () => {
  assert.equal(canonicalizeText(Buffer.from('xxabcxx').subarray(2, 5)), 'abc');
});
