import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ClosedStreams } from '../../../../src/dataplane/gate/closed-streams.ts';

test('a stream that ended early is borne, others are not', () => {
  const closed = new ClosedStreams();
  closed.add(5);
  assert.deepEqual(
    [1, 3, 5, 7].map((id) => closed.has(id)),
    [false, false, true, false],
  );
});

test('of those that ended long ago all are borne, and the newest are still told apart', () => {
  const closed = new ClosedStreams();
  for (let id = 1; id < 8001; id += 4) closed.add(id);
  assert.ok(closed.has(1) && closed.has(3));
  assert.ok(closed.has(7997) && !closed.has(7999) && !closed.has(7995));
});

test('a stream that lived long does not raise what is borne when it ends', () => {
  const closed = new ClosedStreams();
  for (let id = 3; id < 4101; id += 2) closed.add(id);
  const before = closed.has(4001 - 2 * 1024);
  closed.add(1);
  assert.equal(before, closed.has(4001 - 2 * 1024));
  assert.ok(!closed.has(4103));
});
