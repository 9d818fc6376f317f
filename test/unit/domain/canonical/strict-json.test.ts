import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  JsonError,
  parseStrictJson,
  parseStrictJsonBytes,
  type JsonErrorCode,
} from '../../../../src/domain/canonical/strict-json.ts';

function refusal(text: string): { code: JsonErrorCode; offset: number; message: string } {
  try {
    parseStrictJson(text);
  } catch (error) {
    assert.ok(error instanceof JsonError, `expected a JsonError, got ${String(error)}`);
    return { code: error.code, offset: error.offset, message: error.message };
  }
  return assert.fail(`accepted ${JSON.stringify(text)}`);
}

describe('parseStrictJson accepts', () => {
  test('every kind of value', () => {
    const text = ' {"a":[1,-2.5e-3,true,false,null,"x\\n\\u00e9\\ud83d\\ude00"],"b":{}} \r\n\t';
    assert.deepEqual(structuredClone(parseStrictJson(text)), JSON.parse(text));
  });

  test('minus zero, kept as it is', () => {
    assert.ok(Object.is(parseStrictJson('-0'), -0));
  });

  test('raw surrogate pairs', () => {
    assert.equal(parseStrictJson('"\u{1d11e}"'), '\u{1d11e}');
  });

  test('reals far beyond the safe integers', () => {
    assert.deepEqual(parseStrictJson('[1e21,-1E30,1.7976931348623157e308]'), [1e21, -1e30, Number.MAX_VALUE]);
  });
});

describe('objects are safe against hostile keys', () => {
  test('__proto__ is an ordinary own key', () => {
    const object = parseStrictJson('{"__proto__":{"isAdmin":true}}') as Record<string, unknown>;
    assert.deepEqual(Object.keys(object), ['__proto__']);
    assert.equal(object['isAdmin'], undefined);
    assert.equal(({} as Record<string, unknown>)['isAdmin'], undefined);
  });

  test('nothing is inherited', () => {
    const object = parseStrictJson('{}') as object;
    assert.equal(Object.getPrototypeOf(object), null);
    assert.equal('toString' in object, false);
  });

  test('inherited names are not duplicates', () => {
    assert.deepEqual(Object.keys(parseStrictJson('{"toString":1,"constructor":2}') as object), [
      'toString',
      'constructor',
    ]);
  });
});

describe('parseStrictJson refuses', () => {
  const cases: readonly (readonly [title: string, text: string, code: JsonErrorCode, offset: number])[] = [
    ['a duplicate key, at the second one', '{"a":1, "a":1}', 'duplicate_key', 8],
    ['a duplicate key behind an escape', '{"a":1,"\\u0061":2}', 'duplicate_key', 7],
    ['an integer above 2^53 - 1', '[9007199254740992]', 'unsafe_number', 1],
    ['an integer that RFC 8785 would print as unsafe', '[9007199254740992.0]', 'unsafe_number', 1],
    ['a real that RFC 8785 would print as an unsafe integer', '[-1e20]', 'unsafe_number', 1],
    ['a long integer', '1000000000000000000000000', 'unsafe_number', 0],
    ['overflow', '[0,-1e309]', 'unsafe_number', 3],
    ['an escaped high surrogate alone', '"a\\ud800"', 'lone_surrogate', 2],
    ['an escaped low surrogate alone', '"\\udc00"', 'lone_surrogate', 1],
    ['two escaped high surrogates', '"\\ud800\\ud800"', 'lone_surrogate', 1],
    ['a raw high surrogate alone', '"\ud800"', 'lone_surrogate', 1],
    ['a raw low surrogate alone', '"x\udc00"', 'lone_surrogate', 2],
    ['an escaped half and a raw half', '"\\ud83d\ude00"', 'lone_surrogate', 1],
    ['a raw half and an escaped half', '"\ud83d\\ude00"', 'lone_surrogate', 1],
    ['a lone surrogate in a key', '{"\\ud800":1}', 'lone_surrogate', 2],
    ['a byte order mark', '\ufeff{}', 'syntax', 0],
    ['nothing', '', 'syntax', 0],
    ['trailing garbage', '{} x', 'syntax', 3],
    ['a raw control character', '"a\u001f"', 'syntax', 2],
    ['an unfinished string', '"abc', 'syntax', 4],
    ['an unfinished escape', '"\\', 'syntax', 1],
    ['a short unicode escape', '"\\u12"', 'syntax', 1],
    ['a leading zero', '01', 'syntax', 1],
    ['a bare minus', '-', 'syntax', 1],
    ['a bare exponent', '1e+', 'syntax', 3],
    ['both exponent signs', '1e+-1', 'syntax', 3],
    ['a trailing comma in an array', '[1,]', 'syntax', 3],
    ['a trailing comma in an object', '{"a":1,}', 'syntax', 7],
    ['a literal cut short', 'tru', 'syntax', 0],
    ['a literal run on', 'nulls', 'syntax', 4],
  ];
  for (const [title, text, code, offset] of cases) {
    test(title, () => {
      const { message: _, ...rest } = refusal(text);
      assert.deepEqual(rest, { code, offset });
    });
  }
});

describe('messages', () => {
  test('give line and column', () => {
    assert.match(refusal('{\r\n  "a": 1,\n  "a": 2}').message, / \(3:3\)$/);
    assert.match(refusal('[\r\r  x').message, / \(3:3\)$/);
  });

  test('say when the text merely ends', () => {
    assert.match(refusal('[1,\n').message, / \(2:1, at the end\)$/);
  });

  test('never repeat the input', () => {
    const texts = ['{"hunter2":1,"hunter2":2}', '"hunter2', '[hunter2]', '{hunter2}', '"hunter2\\q"'];
    for (const text of texts) assert.doesNotMatch(refusal(text).message, /hunter2/);
  });
});

describe('depth', () => {
  test('64 levels by default', () => {
    assert.doesNotThrow(() => parseStrictJson('['.repeat(64) + ']'.repeat(64)));
    assert.deepEqual(refusal('['.repeat(65) + ']'.repeat(65)).code, 'too_deep');
  });

  test('objects and arrays count alike', () => {
    const text = '{"a":['.repeat(2) + ']}'.repeat(2);
    assert.doesNotThrow(() => parseStrictJson(text, { maxDepth: 4 }));
    assert.throws(() => parseStrictJson(text, { maxDepth: 3 }), { code: 'too_deep', offset: 11 });
  });

  test('100,000 open brackets do not overflow the stack, at any limit', () => {
    for (const open of ['[', '{"a":']) {
      for (const maxDepth of [1, 64, 1000]) {
        assert.throws(() => parseStrictJson(open.repeat(100_000), { maxDepth }), { code: 'too_deep' });
      }
    }
  });

  test('1000 levels parse when asked for', () => {
    assert.doesNotThrow(() => parseStrictJson('['.repeat(1000) + ']'.repeat(1000), { maxDepth: 1000 }));
  });

  test('a limit outside 1 to 1000 is a mistake of the caller', () => {
    for (const maxDepth of [0, -1, 1.5, 1001, Number.NaN, Infinity]) {
      assert.throws(() => parseStrictJson('1', { maxDepth }), RangeError);
    }
  });
});

describe('parseStrictJsonBytes', () => {
  const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

  test('decodes UTF-8', () => {
    assert.equal(parseStrictJsonBytes(new TextEncoder().encode('"é\u{1f600}"')), 'é\u{1f600}');
  });

  test('refuses invalid UTF-8, and is as good as new afterwards', () => {
    assert.throws(() => parseStrictJsonBytes(bytes(0x22, 0xe2, 0x82)), { code: 'not_utf8', offset: -1 });
    assert.equal(parseStrictJsonBytes(bytes(0x22, 0x61, 0x22)), 'a');
  });

  test('does not swallow a byte order mark', () => {
    assert.throws(() => parseStrictJsonBytes(bytes(0xef, 0xbb, 0xbf, 0x31)), { code: 'syntax', offset: 0 });
  });

  test('passes the limits on', () => {
    assert.throws(() => parseStrictJsonBytes(bytes(0x5b, 0x5b), { maxDepth: 1 }), { code: 'too_deep' });
  });
});

test('the position is found in time and memory that are small beside the text, whatever the text is', () => {
  const before = process.memoryUsage().heapUsed;
  assert.match(refusalOf(`${'\r\n'.repeat(1_000_000)}x`), / \(1000001:1\)$/);
  assert.match(refusalOf(`${'\n\r'.repeat(1_000_000)}x`), / \(1000002:1\)$/);
  const grown = process.memoryUsage().heapUsed - before;
  assert.ok(grown < 32 * 1024 * 1024, `${grown} bytes`);

  function refusalOf(text: string): string {
    try {
      parseStrictJson(text);
    } catch (error) {
      if (error instanceof JsonError) return error.message;
      throw error;
    }
    return 'it was accepted';
  }
});
