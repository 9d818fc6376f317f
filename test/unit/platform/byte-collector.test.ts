import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ByteCollector } from '../../../src/platform/byte-collector.ts';

test('the pieces come out as one, in their order, and the collector is empty after that', () => {
  const pieces = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 40 });
  fc.assert(
    fc.property(pieces, (parts) => {
      const collector = new ByteCollector();
      for (const part of parts) collector.push(Buffer.from(part));
      const whole = Buffer.concat(parts);
      assert.equal(collector.length, whole.length);
      assert.deepEqual(collector.take(), whole);
      assert.deepEqual([collector.length, collector.take().length], [0, 0]);
    }),
  );
});

test('a piece that is kept is never written into', () => {
  const slab = Buffer.from('abcdef');
  const collector = new ByteCollector();
  collector.push(slab.subarray(0, 3));
  collector.push(Buffer.from('XYZ'));
  assert.equal(collector.take().toString(), 'abcXYZ');
  assert.equal(slab.toString(), 'abcdef');
});

test('a million single bytes take no more memory than a few millions', () => {
  const before = process.memoryUsage();
  const collector = new ByteCollector();
  for (let sent = 0; sent < 1024 * 1024; sent += 1) collector.push(Buffer.from([sent & 0xff]));
  const after = process.memoryUsage();
  const grown = after.heapUsed + after.external - before.heapUsed - before.external;
  assert.equal(collector.length, 1024 * 1024);
  assert.ok(grown < 32 * 1024 * 1024, `${grown} bytes`);
});
