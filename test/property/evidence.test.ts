import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { checkEvidence } from '../../src/crypto/evidence.ts';
import { evidenceWorld } from '../support/evidence-world.ts';

const world = evidenceWorld();
const compact = world.sign();

test('any change of one byte of evidence is refused', () => {
  fc.assert(
    fc.property(fc.nat(compact.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
      const bytes = Buffer.from(compact, 'latin1');
      bytes[at] = (bytes[at] ?? 0) ^ change;
      assert.equal(checkEvidence(bytes.toString('latin1'), world.expected).ok, false);
    }),
    { numRuns: 500 },
  );
});

test('any evidence that is cut or has more at its end is refused', () => {
  fc.assert(
    fc.property(fc.nat(compact.length - 1), fc.string({ minLength: 1, maxLength: 8 }), (length, more) => {
      assert.equal(checkEvidence(compact.slice(0, length), world.expected).ok, false);
      assert.equal(checkEvidence(compact + more, world.expected).ok, false);
    }),
    { numRuns: 200 },
  );
});

test('whatever stands in place of evidence is refused, and throws nothing', () => {
  const part = fc.oneof(
    fc.string(),
    fc.json().map((json) => Buffer.from(json).toString('base64url')),
  );
  fc.assert(
    fc.property(fc.array(part, { maxLength: 4 }), (parts) => {
      assert.equal(checkEvidence(parts.join('.'), world.expected).ok, false);
    }),
  );
});
