import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDuration } from '../../../src/domain/duration.ts';

test('durations are whole numbers with one unit', () => {
  const read = ['250ms', '10s', '5m', '1h', '30d', '0s'].map(parseDuration);
  assert.deepEqual(read, [250, 10_000, 300_000, 3_600_000, 2_592_000_000, 0]);
});

for (const text of ['', '10', 's', '1.5h', '-1s', '1 h', '1h30m', '1w', 'Infinity', '1H', '9999999999s', '1h\n']) {
  test(`not a duration: ${JSON.stringify(text)}`, () => {
    assert.throws(() => parseDuration(text), { code: 'DURATION_INVALID' });
  });
}
