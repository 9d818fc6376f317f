import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KeyEcho } from '../../../../src/sidecar/inference/key-echo.ts';

const KEYS = ['sk-proj-4f9aZ', 'a+b/c="d\\e%f&g', `sk-${'x9_'.repeat(300)}`, '!'.repeat(4096)];

/** How servers write what they were sent. */
const WRITTEN: Readonly<Record<string, (key: string) => string>> = {
  'as it is': (key) => key,
  'in a header': (key) => `authorization: Bearer ${key}, other`,
  'in JSON': (key) => JSON.stringify({ message: `wrong key ${key}.` }),
  'in JSON within JSON within JSON': (key) => JSON.stringify(JSON.stringify(JSON.stringify({ key }))),
  'in JSON, all of it escaped': (key) => Array.from(key, (each) => `\\u${code(each).padStart(4, '0')}`).join(''),
  'in JSON, some of it escaped, in capitals': (key) =>
    Array.from(key, (each, at) => (at % 3 === 0 ? `\\u${code(each).toUpperCase().padStart(4, '0')}` : each)).join(''),
  'in a query': (key) => `?key=${encodeURIComponent(key)}&x=1`,
  'in a query of a query': (key) => `?u=${encodeURIComponent(encodeURIComponent(key))}`,
  'in small percent codes': (key) => Array.from(key, (each) => `%${code(each)}`).join(''),
  'in base64': (key) => Buffer.from(key).toString('base64'),
  'in base64, a header': (key) => Buffer.from(`Bearer ${key}`).toString('base64'),
  'in base64, a user and a password': (key) => Buffer.from(`me:${key}`).toString('base64'),
  'in base64url, amid other things': (key) => Buffer.from(`{"k":"${key}","more":1}`).toString('base64url'),
  'in base64 with escaped slashes': (key) => Buffer.from(key).toString('base64').replaceAll('/', '\\/'),
};

for (const [how, write] of Object.entries(WRITTEN)) {
  test(`a key is known again ${how}`, () => {
    for (const key of KEYS) {
      const echo = new KeyEcho(key);
      assert.ok(echo.isIn(write(key)), key.slice(0, 30));
      assert.ok(echo.isIn(`${'a\\'.repeat(50)}${write(key)}`), `${key.slice(0, 30)}, after something else`);
    }
  });
}

test('a text that has less than the key is not the key', () => {
  for (const key of KEYS) {
    const echo = new KeyEcho(key);
    for (const text of ['', key.slice(1), key.slice(0, -1), `${key.slice(0, 5)} ${key.slice(5)}`, key.slice(0, 4)]) {
      assert.ok(!echo.isIn(text), text.slice(0, 30));
      assert.ok(!echo.isIn(JSON.stringify(text)), text.slice(0, 30));
    }
  }
  assert.ok(!new KeyEcho('sk-proj-4f9aZ').isIn('SK-PROJ-4F9AZ sk.proj.4f9aZ sk-proj-****aZ'));
});

test('pieces are followed wherever they are cut, and over false starts', () => {
  const key = 'aabaaabaaac';
  const echo = new KeyEcho(key);
  for (const text of [key, `aabaaab${key}`, `aab${key}`, `aaaa${key}`]) {
    for (let first = 0; first <= text.length; first += 1) {
      for (let second = first; second <= text.length; second += 1) {
        let matched: number | undefined = 0;
        for (const piece of [text.slice(0, first), text.slice(first, second), text.slice(second)]) {
          if (matched !== undefined) matched = echo.follow(matched, piece);
        }
        assert.equal(matched, undefined, `${text} cut at ${first} and ${second}`);
      }
    }
  }
  assert.equal(echo.follow(0, 'xaabaaabaa'), 9);
  assert.equal(echo.follow(9, 'b'), 3, 'what was a false start may begin it anew');
  assert.equal(echo.follow(9, 'x'), 0);
});

function code(character: string): string {
  return character.charCodeAt(0).toString(16);
}
