import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sha256Digest } from '../../../src/domain/canonical/digest.ts';
import { parseStrictJson } from '../../../src/domain/canonical/strict-json.ts';
import type { JsonValue } from '../../../src/domain/canonical/strict-json.ts';
import {
  digestTupleToJson,
  MAX_PROMPTS,
  MAX_TOOLS,
  measurementToJson,
  parseDigestTuple,
  parseMeasurement,
} from '../../../src/domain/measurement-json.ts';
import { isMeshError } from '../../../src/domain/mesh-error.ts';

const digest = sha256Digest('x');
const hex = digest.slice(7);
const prompt = { hash: digest, canonicalization: 'ait-text-1' };
const good = {
  system_prompt: { prompts: { main: prompt }, assurance: 'at_rest' },
  knowledge_base: { version: '1', hash: digest, canonicalization: 'ait-set-1', assurance: 'in_use' },
  model: { provider: 'p', id: 'm', version: '1', hash: digest, assurance: 'attested' },
  tools: { canonicalization: 'ait-json-1', tools: { search: digest }, assurance: 'declared' },
};
type Changes = { readonly [D in keyof typeof good]?: object | null };
const change = (changes: Changes): JsonValue => JSON.parse(JSON.stringify({ ...good, ...changes })) as JsonValue;
const refused = (value: JsonValue | undefined, message: RegExp): void =>
  assert.throws(
    () => parseMeasurement(value, 'm'),
    (error) => isMeshError(error, 'MEASUREMENT_MALFORMED') && message.test(error.message),
  );

test('a measurement survives reading and writing, with and without each dimension', () => {
  for (const value of [
    good,
    { ...good, knowledge_base: null, tools: null },
    { ...good, model: { provider: 'p', id: 'm', version: '1', assurance: 'declared' } },
  ]) {
    const read = parseMeasurement(parseStrictJson(JSON.stringify(value)));
    assert.equal(JSON.stringify(measurementToJson(read)), JSON.stringify(value));
  }
});

test('a tuple is a measurement without its assurances, and neither reads as the other', () => {
  const tuple = digestTupleToJson(parseMeasurement(change({})));
  assert.ok(!JSON.stringify(tuple).includes('assurance'));
  assert.equal(JSON.stringify(digestTupleToJson(parseDigestTuple(tuple))), JSON.stringify(tuple));
  refused(tuple, /"assurance" is missing/);
  assert.throws(() => parseDigestTuple(change({}), 'd'), /^MeshError: d\.system_prompt: .*"assurance"/);
});

test('names are data, also those that objects inherit', () => {
  const text = JSON.stringify(good).replace('"search"', '"__proto__"');
  const read = parseMeasurement(parseStrictJson(text));
  assert.deepEqual(Object.keys(read.tools?.tools ?? {}), ['__proto__']);
  assert.equal(read.tools?.tools['constructor'], undefined);
  assert.equal(JSON.stringify(measurementToJson(read)), text);
});

test('what is not a digest in its only spelling is refused, and the message says where', () => {
  for (const hash of [
    digest.toUpperCase(),
    `sha256:${hex.toUpperCase()}`,
    hex,
    `sha256:${hex.slice(2)}`,
    `sha512:${hex}`,
    `${digest}\n`,
    '',
    5,
    null,
  ]) {
    refused(change({ knowledge_base: { ...good.knowledge_base, hash } }), /^m\.knowledge_base\.hash: not "sha256:"/);
    refused(change({ tools: { ...good.tools, tools: { search: hash } } }), /^m\.tools\.tools\["search"\]: /);
    refused(
      change({ system_prompt: { ...good.system_prompt, prompts: { main: { ...prompt, hash } } } }),
      /^m\.system_prompt\.prompts\["main"\]\.hash: /,
    );
    refused(change({ model: { ...good.model, hash } }), /^m\.model\.hash: /);
  }
});

test('missing and unknown members, rules and assurances are refused', () => {
  refused(undefined, /^m: not an object/);
  refused([], /not an object/);
  refused({}, /"system_prompt" is missing/);
  refused({ ...(change({}) as object), memory: null }, /does not belong/);
  refused({ system_prompt: null, knowledge_base: null, model: null, tools: null }, /measures nothing/);
  refused(change({ model: { ...good.model, seed: 1 } }), /^m\.model: .*"seed"/);
  refused(change({ model: { provider: 'p', id: 'm', assurance: 'declared' } }), /"version" is missing/);
  refused(change({ tools: { ...good.tools, canonicalization: 'ait-json-2' } }), /^m\.tools\.canonicalization/);
  refused(change({ tools: { ...good.tools, canonicalization: 'toString' } }), /^m\.tools\.canonicalization/);
  refused(change({ tools: { ...good.tools, assurance: 'sure' } }), /^m\.tools\.assurance/);
});

test('counts, names and texts are bounded', () => {
  const many = <T>(count: number, value: T): Record<string, T> =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`n${index}`, value]));
  for (const [count, ok] of [
    [0, false],
    [1, true],
    [MAX_TOOLS, true],
    [MAX_TOOLS + 1, false],
  ] as const) {
    const value = change({ tools: { ...good.tools, tools: many(count, digest) } });
    if (ok) parseMeasurement(value);
    else refused(value, /^m\.tools\.tools: not 1 to 512/);
  }
  const prompts = many(MAX_PROMPTS + 1, prompt);
  refused(change({ system_prompt: { ...good.system_prompt, prompts } }), /^m\.system_prompt\.prompts: not 1 to 64/);
  for (const name of ['', 'x'.repeat(129), 'ü', 'a\nb', 'a\u007f']) {
    refused(change({ tools: { ...good.tools, tools: { [name]: digest } } }), /printable ASCII/);
  }
  for (const text of ['', 'x'.repeat(257), 'a\nb', 'a\u202eb', 'a\u2028b', 5, null]) {
    refused(change({ knowledge_base: { ...good.knowledge_base, version: text } }), /^m\.knowledge_base\.version/);
    refused(change({ model: { ...good.model, provider: text } }), /^m\.model\.provider/);
  }
});
