import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  EventReader,
  EventStreamError,
  writeEvent,
  type ServerEvent,
} from '../../../../src/sidecar/inference/event-stream.ts';

const read = (reader: EventReader, text: string | Buffer) => {
  const events: ServerEvent[] = [];
  reader.push(Buffer.from(text), (event) => events.push(event));
  return events;
};

test('events come out the same, whatever the chunks they came in', () => {
  const data = fc.string({ unit: 'grapheme', minLength: 1 }).filter((text) => !/[\r\n]/.test(text));
  const event = fc.record({ event: fc.constantFrom('', 'response.created', 'error'), data }, { noNullPrototype: true });
  fc.assert(
    fc.property(fc.array(event, { maxLength: 5 }), fc.array(fc.nat(200)), (events, cuts) => {
      const bytes = Buffer.from(events.map(writeEvent).join(''));
      const reader = new EventReader(1_000_000);
      const found: ServerEvent[] = [];
      let from = 0;
      for (const at of [...cuts.filter((cut) => cut < bytes.length).toSorted((a, b) => a - b), bytes.length]) {
        found.push(...read(reader, bytes.subarray(from, at)));
        from = at;
      }
      assert.deepEqual(found, events);
      assert.ok(reader.atRest);
    }),
  );
});

test('comments, ids and carriage returns before a line feed are no part of an event', () => {
  const reader = new EventReader(1000);
  assert.deepEqual(read(reader, ': alive\r\n\r\nid: 7\r\ndata: a\r\ndata: b\r\n\r\n'), [{ event: '', data: 'a\nb' }]);
});

test('what two readers could understand differently is an error', () => {
  for (const line of ['data: a\rdata: b', 'Data: a', 'surprise', ' data: a', '\ufeffdata: a']) {
    assert.throws(() => read(new EventReader(1000), `${line}\n\n`), EventStreamError, JSON.stringify(line));
  }
  assert.throws(
    () => read(new EventReader(1000), Buffer.from([0x64, 0x61, 0x74, 0x61, 0x3a, 0xff, 0x0a])),
    EventStreamError,
  );
});

test('events before bytes that are not UTF-8 are good; nothing of the line with these bytes, or after it, is', () => {
  const good = Buffer.from('data: zw\u00f6lf\n\ndata: half of the next\n');
  const after = Buffer.from('data: after\n\n');
  const invalid = [
    Buffer.from([0xff]),
    Buffer.from([0xc3]),
    Buffer.from([0xed, 0xa0, 0x80]),
    Buffer.from([0xc0, 0x80]),
  ];
  for (const bytes of invalid) {
    const stream = Buffer.concat([good, Buffer.from('data: \ufffd'), bytes, Buffer.from('\n\n'), after]);
    for (let cut = 0; cut <= stream.length; cut += 1) {
      const [reader, events] = [new EventReader(1000), [] as ServerEvent[]];
      const push = (part: Buffer) => reader.push(part, (event) => events.push(event));
      assert.throws(() => [stream.subarray(0, cut), stream.subarray(cut)].forEach(push), /not UTF-8/, `cut at ${cut}`);
      assert.deepEqual(events, [{ event: '', data: 'zw\u00f6lf' }]);
    }
  }
});

test('the character that stands for what is not UTF-8 may be sent itself', () => {
  assert.deepEqual(read(new EventReader(100), 'data: \ufffd\n\n'), [{ event: '', data: '\ufffd' }]);
});

test('what an event takes is counted in bytes, whatever else comes with it', () => {
  const twelve = 'data: \u00e4\u00e4\u00e4\n\n';
  for (const before of ['', 'data: a\n\n', 'data: \u00e4\n\n']) {
    assert.equal(read(new EventReader(12), before + twelve).length, before === '' ? 1 : 2);
    assert.throws(() => read(new EventReader(11), before + twelve), EventStreamError);
  }
});

test('an event is held up to the limit, in one line or in many', () => {
  assert.throws(() => read(new EventReader(100), `data: ${'x'.repeat(200)}`), EventStreamError);
  assert.throws(() => read(new EventReader(100), 'data: xxxxxxxxxxxxxxxx\n'.repeat(10)), EventStreamError);
  const reader = new EventReader(100);
  for (let round = 0; round < 10; round += 1) assert.equal(read(reader, `data: ${'x'.repeat(60)}\n\n`).length, 1);
});

test('a stream that stops within an event is not at rest', () => {
  for (const text of ['data', 'data: a\n', 'event: error\n']) {
    const reader = new EventReader(100);
    read(reader, text);
    assert.equal(reader.atRest, false, text);
  }
});

test('a line that comes byte by byte is looked through once, not once for each byte', () => {
  const reader = new EventReader(1024 * 1024);
  const byte = Buffer.from('x');
  const before = process.cpuUsage();
  assert.deepEqual(read(reader, 'data: '), []);
  for (let sent = 0; sent < 512 * 1024; sent += 1) reader.push(byte, () => assert.fail('no event is whole'));
  const [event] = read(reader, '\n\n');
  const { user } = process.cpuUsage(before);
  assert.equal(event?.data.length, 512 * 1024);
  // Once for each byte it is more than a minute.
  assert.ok(user < 15_000_000, `${user} µs`);
});
