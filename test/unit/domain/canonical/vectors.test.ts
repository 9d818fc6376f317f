import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { digestJson, digestSequence, digestSet, digestText } from '../../../../src/domain/canonical/digest.ts';
import type { NamedDigest } from '../../../../src/domain/canonical/digest.ts';
import { canonicalizeJson } from '../../../../src/domain/canonical/jcs.ts';
import { parseStrictJsonBytes, type JsonObject } from '../../../../src/domain/canonical/strict-json.ts';
import { canonicalizeText } from '../../../../src/domain/canonical/text.ts';
import { NO_PROMPT } from '../../../../src/domain/prompt/known-prompt.ts';
import { createTemplate, digestTemplate } from '../../../../src/domain/prompt/prompt-template.ts';
import { parseSlots } from '../../../../src/domain/prompt/slot.ts';

interface Hashed {
  readonly canonical: string;
  readonly digest: string;
}
interface Refused {
  readonly error: string;
}
type BytesVector = { readonly name: string; readonly inputBase64: string } & (Hashed | Refused);
type ListVector = { readonly name: string; readonly entries: readonly NamedDigest[] } & (
  { readonly set: Hashed; readonly sequence: Hashed } | Refused
);
type TemplateVector = { readonly name: string; readonly text: string; readonly slots: JsonObject } & (Hashed | Refused);

function load(file: string, least: number): readonly unknown[] {
  const text = readFileSync(new URL(`../../../vectors/${file}`, import.meta.url), 'utf8');
  const { vectors } = JSON.parse(text) as { vectors: readonly unknown[] };
  assert.ok(vectors.length >= least, `${file} has only ${vectors.length} vectors`);
  return vectors;
}

/** Not through the code under test: a wrong `sha256Digest` must not vouch for itself. */
const sha256 = (text: string): string => `sha256:${createHash('sha256').update(Buffer.from(text)).digest('hex')}`;

describe('canonical-text.json', () => {
  for (const vector of load('canonical-text.json', 35) as readonly BytesVector[]) {
    const bytes = Buffer.from(vector.inputBase64, 'base64');
    test(vector.name, () => {
      if ('error' in vector) {
        assert.throws(() => canonicalizeText(bytes), { name: 'TextError', code: vector.error });
        return;
      }
      assert.equal(canonicalizeText(bytes), vector.canonical);
      assert.equal(digestText(bytes), vector.digest);
      assert.equal(sha256(vector.canonical), vector.digest);
    });
  }
});

describe('canonical-json.json', () => {
  for (const vector of load('canonical-json.json', 55) as readonly BytesVector[]) {
    const bytes = Buffer.from(vector.inputBase64, 'base64');
    test(vector.name, () => {
      if ('error' in vector) {
        assert.throws(() => parseStrictJsonBytes(bytes), { name: 'JsonError', code: vector.error });
        return;
      }
      const value = parseStrictJsonBytes(bytes);
      assert.equal(canonicalizeJson(value), vector.canonical);
      assert.equal(digestJson(value), vector.digest);
      assert.equal(sha256(vector.canonical), vector.digest);
    });
  }
});

describe('canonical-set.json', () => {
  for (const vector of load('canonical-set.json', 20) as readonly ListVector[]) {
    test(vector.name, () => {
      if ('error' in vector) {
        assert.throws(() => digestSet(vector.entries), { name: 'DigestError', code: vector.error });
        assert.throws(() => digestSequence(vector.entries), { name: 'DigestError', code: vector.error });
        return;
      }
      assert.equal(digestSet(vector.entries), vector.set.digest);
      assert.equal(sha256(vector.set.canonical), vector.set.digest);
      assert.equal(digestSequence(vector.entries), vector.sequence.digest);
      assert.equal(sha256(vector.sequence.canonical), vector.sequence.digest);
    });
  }
});

describe('canonical-template.json', () => {
  for (const vector of load('canonical-template.json', 17) as readonly TemplateVector[]) {
    test(vector.name, () => {
      const text = canonicalizeText(Buffer.from(vector.text));
      if ('error' in vector) {
        assert.throws(() => createTemplate(text, parseSlots(vector.slots)), {
          name: 'TemplateError',
          code: vector.error,
        });
        return;
      }
      const template = createTemplate(text, parseSlots(vector.slots));
      assert.deepEqual(digestTemplate(template), { hash: vector.digest, canonicalization: 'ait-template-1' });
      assert.equal(sha256(vector.canonical), vector.digest);
    });
  }

  test('no prompt at all', () => {
    const text = readFileSync(new URL('../../../vectors/canonical-template.json', import.meta.url), 'utf8');
    const { none } = JSON.parse(text) as { none: Hashed };
    assert.deepEqual(NO_PROMPT, { hash: none.digest, canonicalization: 'ait-none-1' });
    assert.equal(sha256(none.canonical), none.digest);
  });
});
