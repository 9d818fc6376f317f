import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseListeningSockets } from '../../src/sidecar/app/listening-sockets.ts';

const littleEndian = fc.boolean();
/** Text that is nearly such a table. */
const nearly = fc
  .array(
    fc.oneof(
      fc.constantFrom(' 0: ', '00000000', '0100007F', ':1F90', ' ', '0A', '\n', '\0', 'FFFF', '0'.repeat(32), ':'),
      fc.string({ maxLength: 8 }),
    ),
    { maxLength: 60 },
  )
  .map((parts) => parts.join(''));

test('no text makes it throw, and what it finds is an address with a port', () => {
  fc.assert(
    fc.property(fc.oneof(nearly, fc.string()), littleEndian, (text, little) => {
      for (const { address, port } of parseListeningSockets(text, { littleEndian: little })) {
        assert.ok(port >= 0 && port <= 65_535);
        assert.match(address, /^(\d+\.\d+\.\d+\.\d+|\[[0-9a-f:.]+\]):\d+$/);
      }
    }),
    { numRuns: 1000 },
  );
});

test('an address other than loopback is never taken for loopback, whatever stands around it', () => {
  const bytes = fc.uint8Array({ minLength: 4, maxLength: 4 }).filter(([first]) => first !== 127);
  fc.assert(
    fc.property(bytes, fc.nat(65_535), nearly, (address, port, around) => {
      const hex = Buffer.from(address).swap32().toString('hex').toUpperCase();
      const row = `   1: ${hex}:${port.toString(16).toUpperCase().padStart(4, '0')} 00000000:0000 0A 0`;
      const found = parseListeningSockets(`${around}\n${row}\n${around}`, { littleEndian: true });
      assert.ok(found.some((socket) => socket.address === `${address.join('.')}:${port}` && !socket.loopback));
    }),
  );
});
