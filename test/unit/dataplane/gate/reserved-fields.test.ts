import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  IDENTITY_FIELD,
  isReserved,
  REFUSAL_FIELD,
  withoutReserved,
} from '../../../../src/dataplane/gate/reserved-fields.ts';

const OURS = [...Object.values(IDENTITY_FIELD), ...Object.values(REFUSAL_FIELD)];
const FOREIGN = ['x-forwarded-client-cert', 'x-spiffe-id', 'x-forwarded-user'];

/** Every mix of hyphens and underscores. */
function spellings(name: string): string[] {
  const [first = '', ...rest] = name.split('-');
  return rest.reduce((known, part) => known.flatMap((start) => [`${start}-${part}`, `${start}_${part}`]), [first]);
}

test('names in which only sidecars speak are reserved in every spelling, with the suffix of binary metadata too', () => {
  for (const name of [...OURS, ...FOREIGN, 'x-ait-', 'x-ait-anything-to-come']) {
    for (const spelt of spellings(name)) {
      for (const suffix of ['', '-bin', '_bin', '-bin-bin']) assert.ok(isReserved(spelt + suffix), spelt + suffix);
    }
  }
});

test('other names are not', () => {
  for (const name of [
    'x-a',
    'x-aitch',
    'x-ait',
    'ait-peer',
    'y-ait-peer',
    'x-forwarded-for',
    'x-spiffe-idea',
    'x-',
    'x',
    '',
  ])
    assert.ok(!isReserved(name), name);
});

test('they are taken out; a list without any stays the very same', () => {
  const clean = [
    { name: ':path', value: '/' },
    { name: 'x-mine', value: '1' },
  ];
  assert.equal(withoutReserved(clean), clean);
  const spoofed = [
    clean[0]!,
    { name: 'x_ait-peer_agent', value: 'admin' },
    clean[1]!,
    { name: 'x-spiffe-id', value: 'a' },
  ];
  assert.deepEqual(withoutReserved(spoofed), clean);
});
