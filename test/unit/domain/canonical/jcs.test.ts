import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { canonicalizeJson } from '../../../../src/domain/canonical/jcs.ts';
import { parseStrictJson } from '../../../../src/domain/canonical/strict-json.ts';
import type { JsonValue } from '../../../../src/domain/canonical/strict-json.ts';

const double = (bits: string): number => Buffer.from(bits, 'hex').readDoubleBE();

describe('RFC 8785', () => {
  const sample = String.raw`{
    "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
    "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
    "literals": [null, true, false]
  }`;

  test('3.2.2 Serialization of Primitive Data Types, 3.2.3 sorted', () => {
    assert.equal(
      canonicalizeJson(parseStrictJson(sample)),
      String.raw`{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],` +
        String.raw`"string":"€$\u000f\nA'B\"\\\\\"/"}`,
    );
  });

  test('3.2.3 Sorting of Object Properties', () => {
    const text = String.raw`{
      "\u20ac": "Euro Sign",
      "\r": "Carriage Return",
      "\ufb33": "Hebrew Letter Dalet With Dagesh",
      "1": "One",
      "\ud83d\ude00": "Emoji: Grinning Face",
      "\u0080": "Control",
      "\u00f6": "Latin Small Letter O With Diaeresis"
    }`;
    const canonical = canonicalizeJson(parseStrictJson(text));
    assert.deepEqual(
      [...canonical.matchAll(/:"(.*?)"/g)].map((match) => match[1]),
      [
        'Carriage Return',
        'One',
        'Control',
        'Latin Small Letter O With Diaeresis',
        'Euro Sign',
        'Emoji: Grinning Face',
        'Hebrew Letter Dalet With Dagesh',
      ],
    );
  });

  test('3.2.4 UTF-8 Generation', () => {
    const expected =
      '7b226c69746572616c73223a5b6e756c6c2c747275652c66616c73655d2c226e756d62657273223a5b3333333333333333332e' +
      '333333333333332c31652b33302c342e352c302e3030322c31652d32375d2c22737472696e67223a22e282ac245c7530303066' +
      '5c6e4127425c225c5c5c5c5c222f227d';
    assert.equal(Buffer.from(canonicalizeJson(parseStrictJson(sample))).toString('hex'), expected);
  });

  const numbers: readonly (readonly [bits: string, written: string, note: string])[] = [
    ['0000000000000000', '0', 'zero'],
    ['8000000000000000', '0', 'minus zero'],
    ['0000000000000001', '5e-324', 'min pos number'],
    ['8000000000000001', '-5e-324', 'min neg number'],
    ['7fefffffffffffff', '1.7976931348623157e+308', 'max pos number'],
    ['ffefffffffffffff', '-1.7976931348623157e+308', 'max neg number'],
    ['4340000000000000', '9007199254740992', 'max pos int'],
    ['c340000000000000', '-9007199254740992', 'max neg int'],
    ['4430000000000000', '295147905179352830000', '~2^68'],
    ['44b52d02c7e14af5', '9.999999999999997e+22', ''],
    ['44b52d02c7e14af6', '1e+23', ''],
    ['44b52d02c7e14af7', '1.0000000000000001e+23', ''],
    ['444b1ae4d6e2ef4e', '999999999999999700000', ''],
    ['444b1ae4d6e2ef4f', '999999999999999900000', ''],
    ['444b1ae4d6e2ef50', '1e+21', ''],
    ['3eb0c6f7a0b5ed8c', '9.999999999999997e-7', ''],
    ['3eb0c6f7a0b5ed8d', '0.000001', ''],
    ['41b3de4355555553', '333333333.3333332', ''],
    ['41b3de4355555554', '333333333.33333325', ''],
    ['41b3de4355555555', '333333333.3333333', ''],
    ['41b3de4355555556', '333333333.3333334', ''],
    ['41b3de4355555557', '333333333.33333343', ''],
    ['becbf647612f3696', '-0.0000033333333333333333', ''],
    ['43143ff3c1cb0959', '1424953923781206.2', 'round to even'],
  ];
  for (const [bits, written, note] of numbers) {
    test(`Appendix B: ${bits} is ${written} ${note}`.trimEnd(), () => {
      assert.equal(canonicalizeJson(double(bits)), written);
    });
  }
  for (const bits of ['7fffffffffffffff', '7ff0000000000000', 'fff0000000000000']) {
    test(`Appendix B: ${bits} is an error`, () => {
      assert.throws(() => canonicalizeJson(double(bits)), { name: 'JcsError', code: 'not_finite' });
    });
  }
});

describe('canonicalizeJson refuses', () => {
  const refused: readonly (readonly [title: string, value: unknown, code: string])[] = [
    ['undefined', undefined, 'not_json'],
    ['an undefined member', { a: undefined }, 'not_json'],
    ['a hole', Object.assign([], { length: 1 }), 'not_json'],
    ['a function', { a: () => 1 }, 'not_json'],
    ['a bigint', [1n], 'not_json'],
    ['a symbol', [Symbol('a')], 'not_json'],
    ['a map, which would look empty', new Map([['a', 1]]), 'not_json'],
    ['a date', { at: new Date(0) }, 'not_json'],
    ['bytes', Buffer.from('a'), 'not_json'],
    ['a boxed string', new String('a'), 'not_json'],
    ['NaN in depth', { a: [Number.NaN] }, 'not_finite'],
    ['a lone surrogate', 'a\ud800', 'lone_surrogate'],
    ['surrogates in the wrong order', '\udc00\ud800', 'lone_surrogate'],
    ['a lone surrogate in a key', { '\udc00': 1 }, 'lone_surrogate'],
  ];
  for (const [title, value, code] of refused) {
    test(title, () => {
      assert.throws(() => canonicalizeJson(value as JsonValue), { name: 'JcsError', code });
    });
  }

  test('a cycle', () => {
    const cycle: unknown[] = [];
    cycle.push({ cycle });
    assert.throws(() => canonicalizeJson(cycle as JsonValue), { code: 'too_deep' });
  });
});

test('writes whatever the deepest parse accepts', () => {
  const text = '['.repeat(1000) + ']'.repeat(1000);
  assert.equal(canonicalizeJson(parseStrictJson(text, { maxDepth: 1000 })), text);
  assert.throws(() => canonicalizeJson([parseStrictJson(text, { maxDepth: 1000 })]), { code: 'too_deep' });
});

test('ignores toJSON, which is only a key', () => {
  assert.throws(() => canonicalizeJson({ toJSON: () => 1 } as unknown as JsonValue), { code: 'not_json' });
  assert.equal(canonicalizeJson({ toJSON: 'x' }), '{"toJSON":"x"}');
});
