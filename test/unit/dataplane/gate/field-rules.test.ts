import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fieldProblem, isFieldValue, parseLength } from '../../../../src/dataplane/gate/field-rules.ts';

test('of all octets, a name may have those of a token in lower case, and no other', () => {
  const allowed = new Set("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz");
  for (let code = 0; code < 256; code += 1) {
    const octet = String.fromCharCode(code);
    const problem = fieldProblem({ name: `a${octet}`, value: '' });
    assert.equal(problem === undefined, allowed.has(octet), `octet ${code}: ${problem}`);
  }
});

test('of all octets, a value may have none that is a control but the tab, and blanks only within', () => {
  for (let code = 0; code < 256; code += 1) {
    const octet = String.fromCharCode(code);
    const isControl = (code < 32 && code !== 9) || code === 127;
    const isBlank = code === 9 || code === 32;
    assert.equal(isFieldValue(`a${octet}a`), !isControl, `octet ${code} within`);
    assert.equal(isFieldValue(octet), !isControl && !isBlank, `octet ${code} alone`);
    assert.equal(isFieldValue(`${octet}a`), !isControl && !isBlank, `octet ${code} first`);
    assert.equal(isFieldValue(`a${octet}`), !isControl && !isBlank, `octet ${code} last`);
  }
  assert.ok(isFieldValue(''));
});

test('characters that are no octets are never taken for what they would be cut to', () => {
  assert.ok(!isFieldValue('a\u010ab'));
  assert.notEqual(fieldProblem({ name: 'x\u0161', value: '' }), undefined);
});

test('a problem names the field, but never its value', () => {
  assert.match(fieldProblem({ name: 'x-key', value: 'secret\0' }) ?? '', /^the value of x-key /);
  assert.equal(fieldProblem({ name: 'te', value: 'trailers' }), undefined);
  assert.match(fieldProblem({ name: 'te', value: 'gzip' }) ?? '', /^te /);
});

test('a length is digits that a number holds exactly', () => {
  assert.equal(parseLength('0'), 0);
  assert.equal(parseLength('999999999999999'), 999_999_999_999_999);
  for (const value of ['', '-1', '1e3', '0x1', '1 ', '1\n', '1000000000000000', '٣'])
    assert.equal(parseLength(value), undefined);
});
