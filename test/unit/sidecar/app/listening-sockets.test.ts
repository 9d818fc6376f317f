import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseListeningSockets } from '../../../../src/sidecar/app/listening-sockets.ts';

const LITTLE = { littleEndian: true };
const HEADER = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n';

/** A row as the kernel prints it. */
function row(local: string, state = '0A'): string {
  const remote = local.replace(/[0-9A-F]/g, '0');
  return `   0: ${local} ${remote} ${state} 00000000:00000000 00:00000000 00000000  1000        0 12345 1 0000 100 0 0 10 0\n`;
}

function addresses(text: string, options = LITTLE): string[] {
  return parseListeningSockets(text, options).map(
    ({ address, loopback }) => `${address}${loopback ? ' loopback' : ''}`,
  );
}

test('IPv4 as the kernel of a little-endian machine prints it', () => {
  const text = HEADER + row('0100007F:1F90') + row('00000000:1F91') + row('0700000A:1F92') + row('0202007F:0050');
  assert.deepEqual(addresses(text), [
    '127.0.0.1:8080 loopback',
    '0.0.0.0:8081',
    '10.0.0.7:8082',
    '127.0.2.2:80 loopback',
  ]);
});

test('and of a big-endian one', () => {
  const big = { littleEndian: false };
  assert.deepEqual(addresses(HEADER + row('7F000001:1F90'), big), ['127.0.0.1:8080 loopback']);
  assert.deepEqual(addresses(HEADER + row('0100007F:1F90'), big), ['1.0.0.127:8080']);
});

test('IPv6: loopback, a mapped loopback, any, a mapped address, one of its own', () => {
  const text =
    HEADER +
    row('00000000000000000000000001000000:1F90') +
    row('0000000000000000FFFF00000100007F:1F90') +
    row('00000000000000000000000000000000:1F90') +
    row('0000000000000000FFFF00000700000A:1F90') +
    row('B80D0120000000000000000007000000:1F90');
  assert.deepEqual(addresses(text), [
    '[::1]:8080 loopback',
    '[::ffff:127.0.0.1]:8080 loopback',
    '[::]:8080',
    '[::ffff:10.0.0.7]:8080',
    '[2001:db8::7]:8080',
  ]);
});

test('only sockets that listen count', () => {
  for (const state of ['01', '06', '0B', '00']) assert.deepEqual(addresses(HEADER + row('00000000:1F90', state)), []);
});

test('what is no such table has no such sockets', () => {
  for (const text of [
    '',
    '\n',
    HEADER,
    'nonsense',
    '  0: XXXXXXXX:1F90 00000000:0000 0A',
    '  0: 00000000:1F9 00000000:0000 0A',
  ])
    assert.deepEqual(addresses(text), []);
});
