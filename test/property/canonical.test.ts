import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { digestSequence, digestSet, digestText, sha256Digest } from '../../src/domain/canonical/digest.ts';
import { canonicalizeJson } from '../../src/domain/canonical/jcs.ts';
import { JsonError, parseStrictJson, parseStrictJsonBytes } from '../../src/domain/canonical/strict-json.ts';
import type { JsonErrorCode, JsonValue } from '../../src/domain/canonical/strict-json.ts';
import { firstDifference } from '../../src/domain/canonical/text-difference.ts';
import { canonicalizeText, TextError } from '../../src/domain/canonical/text.ts';

type Parsed = { readonly value: JsonValue } | { readonly code: JsonErrorCode };

function parsed(input: string | Uint8Array): Parsed {
  try {
    return { value: typeof input === 'string' ? parseStrictJson(input) : parseStrictJsonBytes(input) };
  } catch (error) {
    if (error instanceof JsonError) return { code: error.code };
    throw error;
  }
}

function textDigest(bytes: Uint8Array): string | undefined {
  try {
    return digestText(bytes);
  } catch (error) {
    if (error instanceof TextError) return undefined;
    throw error;
  }
}

/** The documented equivalences, restated on bytes (as a Latin-1 string) and independent of the code under test. */
function forgiven(bytes: Uint8Array): string {
  const latin1 = Buffer.from(bytes).toString('latin1');
  return latin1
    .replace(/^\xef\xbb\xbf/, '')
    .replaceAll('\r\n', '\n')
    .replaceAll('\r', '\n');
}

function assertToldApart(original: Uint8Array, changed: Uint8Array): void {
  const digest = textDigest(changed);
  if (digest === undefined) return;
  assert.equal(
    digest === textDigest(original),
    forgiven(changed) === forgiven(original),
    `${Buffer.from(original).toString('hex')} against ${Buffer.from(changed).toString('hex')}`,
  );
}

/** Rich in what the rule treats specially. */
const textCharacter = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.constantFrom('\r', '\n', '\r\n', '\ufeff', ' ', '\u200b', '\u00a0', 'a', 'é', '\u{1f600}'),
  },
  { weight: 2, arbitrary: fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }).filter((text) => text !== '\0') },
);
const text = fc.array(textCharacter, { minLength: 1, maxLength: 30 }).map((parts) => parts.join(''));

const wellFormed = fc.string({ unit: 'binary', maxLength: 12 });
const acceptedNumber = fc.oneof(
  fc.maxSafeInteger(),
  fc.double({ noNaN: true, noDefaultInfinity: true }).filter((n) => {
    const magnitude = Math.abs(n);
    return magnitude <= Number.MAX_SAFE_INTEGER || magnitude >= 1e21;
  }),
);
const key = fc.oneof(wellFormed, fc.constantFrom('__proto__', 'constructor', 'toString', 'a', 'b', '1', '10', ''));
const { json } = fc.letrec<{ json: JsonValue }>((tie) => ({
  json: fc.oneof(
    { maxDepth: 6, withCrossShrink: true },
    fc.constantFrom(null, true, false),
    acceptedNumber,
    wellFormed,
    fc.array(tie('json'), { maxLength: 5 }),
    fc
      .uniqueArray(fc.tuple(key, tie('json')), { maxLength: 5, selector: ([name]) => name })
      .map((entries) => Object.fromEntries(entries)),
  ),
}));

const escapeAll = (written: string): string =>
  written.replace(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);

/** The same value as JSON in different dress: indented or not, escaped or not. */
const jsonText = fc
  .tuple(json, fc.constantFrom('', ' ', '\t', '\n'), fc.boolean())
  .map(([value, indent, escaped]) => (escaped ? escapeAll : String)(JSON.stringify(value, null, indent)));

describe('texts', () => {
  test('any one-bit change changes the digest or is an error, but for the documented equivalences', () => {
    fc.assert(
      fc.property(text, fc.nat(), (original, position) => {
        const bytes = Buffer.from(original);
        const changed = Buffer.from(bytes);
        const bit = position % (bytes.length * 8);
        changed.writeUInt8(changed.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
        assertToldApart(bytes, changed);
      }),
      { numRuns: 2000 },
    );
  });

  test('so does any one byte replaced, inserted or removed', () => {
    const byte = fc.oneof(fc.nat(255), fc.constantFrom(0x0a, 0x0d, 0x20));
    fc.assert(
      fc.property(text, fc.nat(), byte, fc.constantFrom('replace', 'insert', 'remove'), (original, at, value, how) => {
        const bytes = Buffer.from(original);
        const position = at % (bytes.length + (how === 'insert' ? 1 : 0));
        const tail = bytes.subarray(position + (how === 'insert' ? 0 : 1));
        const middle = how === 'remove' ? [] : [value];
        assertToldApart(bytes, Buffer.concat([bytes.subarray(0, position), Buffer.from(middle), tail]));
      }),
      { numRuns: 2000 },
    );
  });

  test('every single bit of one prompt counts', () => {
    const prompt = Buffer.from('You are a clerk.\r\nNever refund more than 50 €.\n');
    for (let bit = 0; bit < prompt.length * 8; bit++) {
      const changed = Buffer.from(prompt);
      changed.writeUInt8(changed.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      assertToldApart(prompt, changed);
    }
  });

  test('the canonical form is its own canonical form, unless it begins with another byte order mark', () => {
    fc.assert(
      fc.property(text, (original) => {
        const bytes = Buffer.from(original);
        if (textDigest(bytes) === undefined) return;
        const canonical = canonicalizeText(bytes);
        if (!canonical.startsWith('\ufeff')) assert.equal(canonicalizeText(Buffer.from(canonical)), canonical);
      }),
    );
  });

  test('arbitrary bytes give a text or a TextError', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => void textDigest(bytes)));
  });

  test('the first difference is where the bytes first differ, within one character', () => {
    fc.assert(
      fc.property(text, text, text, (before, approvedTail, observedTail) => {
        const [approved, observed] = [before + approvedTail, before + observedTail];
        const difference = firstDifference(approved, observed);
        const [left, right] = [Buffer.from(approved), Buffer.from(observed)];
        if (difference === undefined) {
          assert.equal(approved, observed);
          return;
        }
        let at = 0;
        while (at < left.length && at < right.length && left[at] === right[at]) at++;
        while (at > 0 && at < right.length && (right.readUInt8(at) & 0xc0) === 0x80) at--;
        const found = right.subarray(0, difference.byteOffset).toString('utf8').split('\n');
        assert.equal(difference.byteOffset, at);
        assert.equal(difference.line, found.length);
        assert.equal(difference.column, Array.from(found.at(-1) ?? '').length + 1);
        const bare = (whole: string): string => whole.replace(/\p{White_Space}/gu, '');
        assert.equal(difference.whitespaceOnly, bare(approved) === bare(observed));
      }),
      { numRuns: 1000 },
    );
  });
});

describe('JSON', () => {
  test('the strict parser agrees with JSON.parse on every value it accepts', () => {
    fc.assert(
      fc.property(jsonText, (written) => {
        assert.deepEqual(structuredClone(parseStrictJson(written)), JSON.parse(written));
        assert.deepEqual(parseStrictJsonBytes(Buffer.from(written)), parseStrictJson(written));
      }),
      { numRuns: 1000 },
    );
  });

  /** `syntax` must mean exactly that; and what JSON.parse refuses is never accepted. */
  function assertAgrees(written: string): void {
    const ours = parsed(written);
    let theirs: unknown;
    try {
      theirs = JSON.parse(written);
    } catch {
      assert.ok('code' in ours, `accepted ${JSON.stringify(written)}`);
      return;
    }
    if ('code' in ours) assert.notEqual(ours.code, 'syntax', JSON.stringify(written));
    else assert.deepEqual(structuredClone(ours.value), theirs);
  }

  test('arbitrary strings, lone surrogates included, give what JSON.parse gives or a JsonError', () => {
    const unit = fc.oneof(
      fc.constantFrom(...'[]{}:,"\\/eE+-.019tfnu \n\t'.split(''), '\ud800', '\udc00', '\ufeff', '\0'),
      fc.nat(0xffff).map((code) => String.fromCharCode(code)),
    );
    fc.assert(fc.property(fc.string({ unit, maxLength: 20 }), assertAgrees), { numRuns: 5000 });
  });

  test('so do valid texts with one character changed', () => {
    const insert = fc.constantFrom(
      ...'[]{}:,"\\/eE+-.019tfnu \n'.split(''),
      '\ud800',
      '\udc00',
      '\\ud83d',
      '\\ude00',
      '',
    );
    fc.assert(
      fc.property(jsonText, fc.nat(), fc.nat(1), insert, (written, at, removed, inserted) => {
        const position = at % (written.length + 1);
        assertAgrees(written.slice(0, position) + inserted + written.slice(position + removed));
      }),
      { numRuns: 5000 },
    );
  });

  test('arbitrary bytes give a value or a JsonError', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => void parsed(bytes)));
  });

  test('a key written twice is refused wherever it stands', () => {
    fc.assert(
      fc.property(json, json, key, fc.boolean(), (one, two, name, escaped) => {
        const quoted = JSON.stringify(name);
        const again = escaped ? escapeAll(quoted) : quoted;
        const object = `{${quoted}:${JSON.stringify(one)},${again}:${JSON.stringify(two)}}`;
        assert.deepEqual(parsed(`[0,${object}]`), { code: 'duplicate_key' });
      }),
    );
  });

  test('whatever is accepted has a canonical form that parses to the same and is its own canonical form', () => {
    fc.assert(
      fc.property(jsonText, (written) => {
        const canonical = canonicalizeJson(parseStrictJson(written));
        assert.equal(canonicalizeJson(parseStrictJson(canonical)), canonical);
        // Only -0 loses something, its sign.
        const withoutSign = (_: string, value: unknown): unknown => (value === 0 ? 0 : value);
        assert.deepEqual(
          structuredClone(parseStrictJson(canonical)),
          JSON.parse(JSON.stringify(JSON.parse(written), withoutSign)),
        );
      }),
      { numRuns: 1000 },
    );
  });

  test('the canonical form of any finite number is a fixed point, or is refused as unsafe', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (number) => {
        const canonical = canonicalizeJson(number);
        const magnitude = Math.abs(number);
        const safe = magnitude <= Number.MAX_SAFE_INTEGER || magnitude >= 1e21;
        assert.deepEqual(parsed(canonical), safe ? { value: number === 0 ? 0 : number } : { code: 'unsafe_number' });
      }),
      { numRuns: 2000 },
    );
  });

  test('the order of members does not matter', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.tuple(key, json), { selector: ([name]) => name }), (entries) => {
        const reversed = Object.fromEntries([...entries].reverse());
        assert.equal(canonicalizeJson(reversed), canonicalizeJson(Object.fromEntries(entries)));
      }),
    );
  });
});

describe('sets and sequences', () => {
  const entry = fc.record({
    name: fc.string({ unit: 'binary', minLength: 1, maxLength: 6 }),
    sha256: fc.string().map((content) => sha256Digest(content)),
  });
  const entries = fc.uniqueArray(entry, { minLength: 1, maxLength: 8, selector: ({ name }) => name });
  const shuffled = entries.chain((list) =>
    fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length })),
  );

  test('the digest of a set is independent of its order; that of a sequence is not', () => {
    fc.assert(
      fc.property(shuffled, ([list, other]) => {
        assert.equal(digestSet(other), digestSet(list));
        const sameOrder = list.every((item, index) => item.name === other[index]?.name);
        assert.equal(digestSequence(other) === digestSequence(list), sameOrder);
      }),
    );
  });

  test('any entry added, removed, renamed or changed changes the digest', () => {
    fc.assert(
      fc.property(entries, entry, fc.nat(), (list, extra, at) => {
        const index = at % list.length;
        const digest = digestSet(list);
        const isNew = !list.some(({ name }) => name === extra.name);
        if (isNew) assert.notEqual(digestSet([...list, extra]), digest);
        if (list.length > 1) assert.notEqual(digestSet(list.toSpliced(index, 1)), digest);
        const old = list[index];
        assert.ok(old !== undefined);
        if (isNew) assert.notEqual(digestSet(list.with(index, { ...old, name: extra.name })), digest);
        if (old.sha256 !== extra.sha256) {
          assert.notEqual(digestSet(list.with(index, { ...old, sha256: extra.sha256 })), digest);
        }
      }),
    );
  });
});
