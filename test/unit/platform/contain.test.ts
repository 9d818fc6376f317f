import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { contain } from '../../../src/platform/contain.ts';
import { createLogBook } from '../../support/authority-harness.ts';

test('a defect in the work is logged with its cause, and only that connection is given up', async () => {
  const { logger, lines } = createLogBook();
  let givenUp = 0;
  const what = 'accepting a connection';
  contain(Promise.reject(new TypeError('no such thing')), { logger, what, giveUp: () => (givenUp += 1) });
  await nextTurn();
  assert.equal(givenUp, 1);
  assert.equal(lines.length, 1);
  const [line] = lines;
  assert.deepEqual([line?.['event'], line?.['level'], line?.['what']], ['defect', 'error', what]);
  assert.match(JSON.stringify(line?.['error']), /no such thing/);
});

test('work that ends well is left alone', async () => {
  const { logger, lines } = createLogBook();
  contain(Promise.resolve('done'), { logger, what: 'work', giveUp: () => assert.fail('given up') });
  await nextTurn();
  assert.deepEqual(lines, []);
});
