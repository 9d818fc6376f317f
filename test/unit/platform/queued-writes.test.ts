import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { createFileDescriptorDestination, createLogger } from '../../../src/platform/logger.ts';
import { QueuedWrites } from '../../../src/platform/queued-writes.ts';
import { pollUntil } from '../../support/poll-until.ts';

function logFile(t: TestContext): { readonly fd: number; readonly text: () => string } {
  const folder = mkdtempSync(join(tmpdir(), 'ait-queued-'));
  const path = join(folder, 'log');
  const fd = openSync(path, 'w');
  t.after(() => rmSync(folder, { recursive: true }));
  return { fd, text: () => readFileSync(path, 'utf8') };
}

test('lines are written whole and in order, and not while they are added', async (t) => {
  const { fd, text } = logFile(t);
  t.after(() => closeSync(fd));
  const writes = new QueuedWrites({ fd, writeNow: () => undefined });
  const lines = Array.from({ length: 2000 }, (_, index) => `${index} ${'ä'.repeat(index % 97)}\n`);
  for (const line of lines) assert.ok(writes.add(line));
  assert.equal(text(), '');
  await pollUntil(text, (now) => now.length === lines.join('').length);
  assert.equal(text(), lines.join(''));
});

test('what has no room is dropped, what is added later is not', async (t) => {
  const { fd, text } = logFile(t);
  t.after(() => closeSync(fd));
  const writes = new QueuedWrites({ fd, writeNow: () => undefined, maxWaiting: 10 });
  assert.deepEqual([writes.add('123456789\n'), writes.add('x\n')], [true, false]);
  await pollUntil(text, (now) => now === '123456789\n');
  assert.ok(writes.add('y\n'));
  await pollUntil(text, (now) => now === '123456789\ny\n');
});

test('where nobody reads any more nothing is kept', async (t) => {
  const { fd } = logFile(t);
  closeSync(fd);
  const writes = new QueuedWrites({ fd: 999_999, writeNow: () => undefined });
  writes.add('x\n');
  await pollUntil(
    () => writes.add('y\n'),
    (taken) => !taken,
  );
});

test('bulk lines are those of any event, follow the level, and tell how many were dropped', () => {
  const lines: string[] = [];
  let room = true;
  const destination = {
    write: (line: string) => void lines.push(line),
    queue: (line: string) => room && lines.push(line) > 0,
  };
  const logger = createLogger({ name: 'sidecar', destination, clock: { now: () => 0, monotonic: () => 0 } });
  const bulk = logger.child({ token: 'secret', agent: 'a' }).bulk('call');
  bulk.write('"n":1');
  room = false;
  bulk.write('"n":2');
  bulk.write('"n":3');
  room = true;
  bulk.write('"n":4');
  logger.level = 'warn';
  bulk.write('"n":5');
  assert.equal(bulk.enabled, false);
  const parsed = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.deepEqual(
    parsed.map(({ event, n, count, token, agent }) => [event, n ?? count, token, agent]),
    [
      ['call', 1, '[redacted]', 'a'],
      ['call', 4, '[redacted]', 'a'],
      ['lines_dropped', 2, '[redacted]', 'a'],
    ],
  );
  assert.equal(parsed[0]?.['ts'], '1970-01-01T00:00:00.000Z');
});

test('a file descriptor takes bulk lines later and others at once', async (t) => {
  const { fd, text } = logFile(t);
  t.after(() => closeSync(fd));
  const logger = createLogger({ name: 'sidecar', destination: createFileDescriptorDestination(fd) });
  logger.bulk('call').write('"n":1');
  logger.info('now');
  assert.match(text(), /^[^\n]*"event":"now"\}\n$/);
  await pollUntil(text, (now) => now.split('\n').length === 3);
  assert.match(text(), /"event":"call","n":1\}\n$/);
});
