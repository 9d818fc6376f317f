import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MessageCount } from '../../../../src/dataplane/gate/message-count.ts';

function message(length: number, compressed = 0): Buffer {
  const bytes = Buffer.alloc(5 + length, 0xee);
  bytes[0] = compressed;
  bytes.writeUInt32BE(length, 1);
  return bytes;
}

const STREAM = Buffer.concat([message(0), message(3), message(300, 1), message(0), message(70_000)]);

test('messages are counted however their bytes are cut', () => {
  for (let size = 1; size < 700; size += 1) {
    const count = new MessageCount();
    for (let at = 0; at < STREAM.length; at += size) count.count(STREAM, at, Math.min(at + size, STREAM.length));
    assert.equal(count.begun, 5, `${size} bytes at a time`);
  }
});

test('only what lies between start and end is looked at', () => {
  const count = new MessageCount();
  count.count(Buffer.concat([message(1), STREAM, message(1)]), 6, 6 + STREAM.length);
  assert.equal(count.begun, 5);
});

test('a message has begun when its prefix is complete', () => {
  const count = new MessageCount();
  const bytes = message(10);
  count.count(bytes, 0, 4);
  assert.equal(count.begun, 0);
  count.count(bytes, 4, 5);
  assert.equal(count.begun, 1);
  count.count(bytes, 5, 15);
  assert.equal(count.begun, 1);
});

test('a message of 4 GiB is one message, whatever follows', () => {
  const count = new MessageCount();
  const prefix = Buffer.from([0, 0xff, 0xff, 0xff, 0xff]);
  for (const octet of prefix) count.count(Buffer.from([octet]), 0, 1);
  for (let i = 0; i < 100; i += 1) count.count(STREAM, 0, STREAM.length);
  assert.equal(count.begun, 1);
});
