import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  digestJson,
  digestSequence,
  digestSet,
  digestText,
  isDigest,
  sha256Digest,
} from '../../../../src/domain/canonical/digest.ts';
import type { NamedDigest } from '../../../../src/domain/canonical/digest.ts';

const ABC = 'sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';

describe('sha256Digest', () => {
  test('FIPS 180-4 example "abc", as a string and as bytes', () => {
    assert.equal(sha256Digest('abc'), ABC);
    assert.equal(sha256Digest(Uint8Array.of(0x61, 0x62, 0x63)), ABC);
  });

  test('a string is hashed as UTF-8', () => {
    assert.equal(sha256Digest('é\u{1f600}'), sha256Digest(Buffer.from('c3a9f09f9880', 'hex')));
  });

  test('strings with lone surrogates do not collide: they are refused', () => {
    assert.throws(() => sha256Digest('\ud800'), { name: 'DigestError', code: 'lone_surrogate' });
  });
});

describe('isDigest', () => {
  test('accepts its own digests', () => assert.ok(isDigest(ABC)));
  const others: readonly unknown[] = [
    ABC.toUpperCase(),
    ABC.replace('b', 'B'),
    ABC.slice(0, -1),
    `${ABC}0`,
    `${ABC}\n`,
    ` ${ABC}`,
    `x${ABC}`,
    `${ABC}\n${ABC}`,
    ABC.slice('sha256:'.length),
    ABC.replace('a', 'g'),
    'sha256:',
    '',
    null,
    undefined,
    7,
    [ABC],
    new String(ABC),
  ];
  for (const other of others) {
    test(`refuses ${typeof other} ${JSON.stringify(other)}`, () => assert.equal(isDigest(other), false));
  }
});

describe('digests of measured things', () => {
  const entry = (name: string, content: string): NamedDigest => ({ name, sha256: sha256Digest(content) });

  test('a text is hashed in its canonical form', () => {
    assert.equal(digestText(Buffer.from('\ufeffabc')), ABC);
  });

  test('JSON is hashed in its RFC 8785 form', () => {
    assert.equal(digestJson({ b: 1, a: 2 }), sha256Digest('{"a":2,"b":1}'));
  });

  test('a set is hashed as a sorted list with bare hexadecimal digests', () => {
    const list = `[{"name":"a","sha256":"${ABC.slice(7)}"},{"name":"b","sha256":"${ABC.slice(7)}"}]`;
    assert.equal(digestSet([entry('b', 'abc'), entry('a', 'abc')]), sha256Digest(list));
  });

  test('a set leaves the list of its caller alone', () => {
    const entries = Object.freeze([entry('b', '1'), entry('a', '2')]);
    digestSet(entries);
    assert.equal(entries[0]?.name, 'b');
  });

  test('a sequence depends on its order', () => {
    const [one, two] = [entry('a', '1'), entry('b', '2')];
    assert.notEqual(digestSequence([one, two]), digestSequence([two, one]));
    assert.equal(digestSequence([one, two]), digestSet([two, one]));
  });

  test('swapping two contents changes the set', () => {
    assert.notEqual(digestSet([entry('a', '1'), entry('b', '2')]), digestSet([entry('a', '2'), entry('b', '1')]));
  });

  test('other members of an entry are not hashed', () => {
    assert.equal(digestSet([{ ...entry('a', '1'), note: 'x' } as NamedDigest]), digestSet([entry('a', '1')]));
  });
});
