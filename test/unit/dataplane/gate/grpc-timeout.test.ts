import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ceilGrpcTimeout, parseGrpcTimeout } from '../../../../src/dataplane/gate/grpc-timeout.ts';

for (const [value, ms] of Object.entries({
  '1H': 3_600_000,
  '2M': 120_000,
  '3S': 3000,
  '4m': 4,
  '5u': 0.005,
  '1000000n': 1,
  '0S': 0,
  '00000001S': 1000,
  '99999999H': 99_999_999 * 3_600_000,
})) {
  test(`grpc-timeout ${value} is ${ms} ms`, () => assert.equal(parseGrpcTimeout(value), ms));
}

for (const value of [
  '',
  'S',
  '1',
  '1s',
  '1h',
  '-1S',
  '+1S',
  '1.5S',
  '1 S',
  ' 1S',
  '1S ',
  '1S\n',
  '123456789S',
  '1SS',
  '٣S',
  'x1S',
]) {
  test(`${JSON.stringify(value)} is no grpc-timeout`, () => assert.equal(parseGrpcTimeout(value), undefined));
}

test('a deadline below the ceiling goes on as it is, one above it becomes the ceiling', () => {
  assert.equal(ceilGrpcTimeout(999, 1000), undefined);
  assert.equal(ceilGrpcTimeout(1000, 1000), undefined);
  assert.equal(ceilGrpcTimeout(1000.001, 1000), '1000m');
  assert.equal(ceilGrpcTimeout(Infinity, 200_000_000), '200000S');
});

test('without a deadline the ceiling is it, and without a ceiling there is none', () => {
  assert.equal(ceilGrpcTimeout(undefined, 30_000), '30000m');
  assert.equal(ceilGrpcTimeout(undefined, undefined), undefined);
});

test('what 32 bits of milliseconds do not hold is lowered to what they do, with a ceiling or without', () => {
  assert.equal(ceilGrpcTimeout(2 ** 31 - 1, undefined), undefined);
  assert.equal(ceilGrpcTimeout(2 ** 31, undefined), '2147483S');
  assert.equal(ceilGrpcTimeout(parseGrpcTimeout('99999999H'), 1e15), '2147483S');
});

test('what comes of it is a grpc-timeout again, and never longer than the ceiling', () => {
  for (const ceiling of [1, 999, 99_999_999, 100_000_000, 2 ** 31 - 1]) {
    const lowered = ceilGrpcTimeout(Infinity, ceiling) ?? assert.fail();
    const ms = parseGrpcTimeout(lowered) ?? assert.fail(lowered);
    assert.ok(ms <= ceiling && ms > ceiling - 1000, `${lowered} for ${ceiling} ms`);
  }
});
