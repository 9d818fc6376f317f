import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { canonicalizeJson } from '../../../../src/domain/canonical/jcs.ts';
import { JsonError, parseStrictJsonBytes } from '../../../../src/domain/canonical/strict-json.ts';
import type { JsonErrorCode } from '../../../../src/domain/canonical/strict-json.ts';

/** Valid by RFC 8259, refused here, each for its reason. */
const REFUSED_THOUGH_VALID: Readonly<Record<string, JsonErrorCode>> = {
  // Readers disagree on which member wins, so what was approved need not be what is read.
  'y_object_duplicated_key.json': 'duplicate_key',
  // Equal values do no harm, but telling the two cases apart would be one more rule.
  'y_object_duplicated_key_and_value.json': 'duplicate_key',
};

/** RFC 8259 leaves these to the implementation; this is what ours decided. */
const DECISIONS: Readonly<Record<string, JsonErrorCode | 'accepted'>> = {
  // Rounded to the nearest double, which is zero.
  'i_number_double_huge_neg_exp.json': 'accepted',
  'i_number_real_underflow.json': 'accepted',
  // No double is near.
  'i_number_huge_exp.json': 'unsafe_number',
  'i_number_neg_int_huge_exp.json': 'unsafe_number',
  'i_number_pos_double_huge_exp.json': 'unsafe_number',
  'i_number_real_neg_overflow.json': 'unsafe_number',
  'i_number_real_pos_overflow.json': 'unsafe_number',
  // A double cannot tell these integers from their neighbours.
  'i_number_too_big_neg_int.json': 'unsafe_number',
  'i_number_too_big_pos_int.json': 'unsafe_number',
  'i_number_very_big_negative_int.json': 'unsafe_number',
  // No UTF-8 form to hash.
  'i_object_key_lone_2nd_surrogate.json': 'lone_surrogate',
  'i_string_1st_surrogate_but_2nd_missing.json': 'lone_surrogate',
  'i_string_1st_valid_surrogate_2nd_invalid.json': 'lone_surrogate',
  'i_string_incomplete_surrogate_and_escape_valid.json': 'lone_surrogate',
  'i_string_incomplete_surrogate_pair.json': 'lone_surrogate',
  'i_string_incomplete_surrogates_escape_valid.json': 'lone_surrogate',
  'i_string_invalid_lonely_surrogate.json': 'lone_surrogate',
  'i_string_invalid_surrogate.json': 'lone_surrogate',
  'i_string_inverted_surrogates_U+1D11E.json': 'lone_surrogate',
  'i_string_lone_second_surrogate.json': 'lone_surrogate',
  // Replacing what cannot be decoded would give different files one digest.
  'i_string_UTF-16LE_with_BOM.json': 'not_utf8',
  'i_string_UTF-8_invalid_sequence.json': 'not_utf8',
  'i_string_UTF8_surrogate_U+D800.json': 'not_utf8',
  'i_string_invalid_utf-8.json': 'not_utf8',
  'i_string_iso_latin_1.json': 'not_utf8',
  'i_string_lone_utf8_continuation_byte.json': 'not_utf8',
  'i_string_not_in_unicode_range.json': 'not_utf8',
  'i_string_overlong_sequence_2_bytes.json': 'not_utf8',
  'i_string_overlong_sequence_6_bytes.json': 'not_utf8',
  'i_string_overlong_sequence_6_bytes_null.json': 'not_utf8',
  'i_string_truncated-utf-8.json': 'not_utf8',
  'i_string_utf16BE_no_BOM.json': 'not_utf8',
  'i_string_utf16LE_no_BOM.json': 'not_utf8',
  // Deeper than the default of 64.
  'i_structure_500_nested_arrays.json': 'too_deep',
  // RFC 8259 section 8.1 lets a parser ignore it; then two byte strings would be one value.
  'i_structure_UTF-8_BOM_empty_object.json': 'syntax',
};

const folder = process.env['AIT_EXTRA_VECTORS'];

function outcome(bytes: Uint8Array): JsonErrorCode | 'accepted' {
  try {
    parseStrictJsonBytes(bytes);
    return 'accepted';
  } catch (error) {
    if (error instanceof JsonError) return error.code;
    throw error;
  }
}

/** The few that always run: [file name, hexadecimal bytes]. Made here, in the manner of the suite. */
const FEW: readonly (readonly [name: string, hex: string])[] = [
  ['y_array_of_everything.json', Buffer.from('[null,1,"1",{}]').toString('hex')],
  ['y_number_minus_zero.json', Buffer.from('[-0]').toString('hex')],
  ['y_object_duplicated_key.json', Buffer.from('{"k":1,"k":2}').toString('hex')],
  ['n_array_double_comma.json', Buffer.from('[1,,2]').toString('hex')],
  ['n_structure_many_open_arrays.json', '5b'.repeat(100_000)],
  ['n_string_raw_tab.json', '5b2209225d'],
  ['i_number_real_underflow.json', Buffer.from('[1e-999]').toString('hex')],
  ['i_number_too_big_pos_int.json', Buffer.from('[98765432109876543210]').toString('hex')],
  ['i_string_truncated-utf-8.json', '5b22e282225d'],
  ['i_structure_UTF-8_BOM_empty_object.json', 'efbbbf7b7d'],
];

function parsingCases(): readonly (readonly [name: string, bytes: Uint8Array])[] {
  if (folder === undefined) return FEW.map(([name, hex]) => [name, Buffer.from(hex, 'hex')]);
  const suite = join(folder, 'json-parsing');
  const names = readdirSync(suite).filter((name) => name.endsWith('.json'));
  return names.map((name) => [name, readFileSync(join(suite, name))]);
}

test('strict parsing agrees with the parsing suite, but for the exceptions listed', (t) => {
  const ran = { y: 0, n: 0, i: 0 };
  for (const [name, bytes] of parsingCases()) {
    const result = outcome(bytes);
    if (name.startsWith('y_')) {
      assert.equal(result, REFUSED_THOUGH_VALID[name] ?? 'accepted', name);
      if (result === 'accepted') {
        const text = Buffer.from(bytes).toString('utf8');
        assert.deepEqual(structuredClone(parseStrictJsonBytes(bytes)), JSON.parse(text), name);
      }
      ran.y++;
    } else if (name.startsWith('n_')) {
      assert.notEqual(result, 'accepted', name);
      ran.n++;
    } else {
      assert.ok(Object.hasOwn(DECISIONS, name), `${name}: no decision is listed; ours would be ${result}`);
      assert.equal(result, DECISIONS[name], name);
      ran.i++;
    }
  }
  const least = folder === undefined ? { y: 3, n: 3, i: 4 } : { y: 90, n: 180, i: 30 };
  assert.ok(ran.y >= least.y && ran.n >= least.n && ran.i >= least.i, `too few ran: ${JSON.stringify(ran)}`);
  t.diagnostic(
    `ran ${ran.y} y_, ${ran.n} n_ and ${ran.i} i_ cases from ${folder === undefined ? 'this file' : 'outside'}`,
  );
});

test('canonicalisation agrees with the RFC 8785 suite', (t) => {
  let ran = 0;
  for (const [name, input, output] of canonicalizationCases()) {
    const canonical = canonicalizeJson(parseStrictJsonBytes(input));
    assert.equal(Buffer.from(canonical).toString('hex'), Buffer.from(output).toString('hex'), name);
    assert.equal(canonicalizeJson(parseStrictJsonBytes(output)), canonical, `${name}, a second time`);
    ran++;
  }
  assert.ok(ran >= (folder === undefined ? 2 : 6), `only ${ran} ran`);
  t.diagnostic(`ran ${ran} cases from ${folder === undefined ? 'this file' : 'outside'}`);
});

function canonicalizationCases(): readonly (readonly [name: string, input: Uint8Array, output: Uint8Array])[] {
  if (folder === undefined) {
    return [
      ['order', Buffer.from('{"b":[2, 1.0],\n"a":{"\\u00e9":0.10}}'), Buffer.from('{"a":{"é":0.1},"b":[2,1]}')],
      ['escapes', Buffer.from('["\\u000A\\/\\u001F"]'), Buffer.from('["\\n/\\u001f"]')],
    ];
  }
  const suite = join(folder, 'json-canonicalization');
  return readdirSync(join(suite, 'input')).map((name) => {
    const output = readFileSync(join(suite, 'output', name));
    const hexFile = join(suite, 'outhex', name.replace(/\.json$/, '.txt'));
    assert.ok(existsSync(hexFile), `${name} has no outhex`);
    const bytes = Buffer.from(readFileSync(hexFile, 'utf8').replace(/\s+/g, ''), 'hex');
    assert.ok(bytes.equals(output), `${name}: output and outhex differ`);
    return [name, readFileSync(join(suite, 'input', name)), bytes];
  });
}
