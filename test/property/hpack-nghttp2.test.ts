import assert from 'node:assert/strict';
import { sensitiveHeaders } from 'node:http2';
import type { OutgoingHttpHeaders } from 'node:http2';
import { test } from 'node:test';
import fc from 'fast-check';
import { HpackDecoder } from '../../src/dataplane/hpack/decoder.ts';
import { encodeFields } from '../../src/dataplane/hpack/encoder.ts';
import { HpackError } from '../../src/dataplane/hpack/hpack-error.ts';
import { fieldLines } from '../support/header-fields.ts';
import { blocksOfNghttp2, readByNghttp2 } from '../support/nghttp2.ts';

const name = fc.constantFrom('x-a', 'x-b', 'grpc-timeout', 'user-agent', 'accept', 'x-secret');
/** Every octet that a value may have (RFC 9110, section 5.5). */
const octet = fc.integer({ min: 0x20, max: 0xff }).filter((code) => code !== 0x7f);
const value = fc.array(octet, { maxLength: 80 }).map((codes) => `v${Buffer.from(codes).toString('latin1')}v`);
const headers = fc.uniqueArray(fc.tuple(name, value), { maxLength: 5, selector: ([name]) => name });
const path = fc.constantFrom('/', '/svc/A', '/svc/B').map((path) => [':path', path] as const);

const PSEUDO = [':method', ':authority', ':scheme', ':path'];

test('what nghttp2 encoded, with its table and Huffman coding, is decoded here', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(path, headers), { minLength: 1, maxLength: 8 }), async (requests) => {
      const asked = requests.map(([[, path], list]): OutgoingHttpHeaders => ({
        ':path': path,
        ...Object.fromEntries(list),
        [sensitiveHeaders]: ['x-secret'],
      }));
      const decoder = new HpackDecoder({ maxListBytes: 65_536 });
      for (const [number, block] of (await blocksOfNghttp2(asked)).entries()) {
        const decoded = decoder.decode(block);
        assert.ok(!decoded.tooLarge);
        const [[, path], list] = requests[number] ?? assert.fail();
        const ordinary = decoded.fields.filter(({ name }) => !PSEUDO.includes(name));
        const sensitive = list.map(([name, value]) => ({ name, value, sensitive: name === 'x-secret' }));
        assert.deepEqual(fieldLines(ordinary), fieldLines(sensitive));
        assert.equal(decoded.fields.find(({ name }) => name === ':path')?.value, path);
      }
    }),
    { numRuns: 100 },
  );
});

test('what was encoded here is decoded by nghttp2', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(path, headers), { minLength: 1, maxLength: 8 }), async (requests) => {
      const lists = requests.map(([[name, value], list]) => [
        [':method', 'POST'],
        [':scheme', 'http'],
        [name, value],
        [':authority', 'localhost'],
        ...list,
      ]);
      const blocks = lists.map((list) =>
        encodeFields(list.map(([name = '', value = '']) => ({ name, value, sensitive: name === 'x-secret' }))),
      );
      const read = await readByNghttp2(blocks);
      assert.ok(read.decoded);
      assert.deepEqual(
        read.requests,
        lists.map((list) => list.flat()),
      );
    }),
    { numRuns: 100 },
  );
});

test('what is no header block to nghttp2 is none here, and the other way round', async () => {
  // Pieces of blocks rather than mere bytes: nearly all of those would fail at once.
  const good = fc.constantFrom('82', 'bd', '4001610162', '0001610162', '1001610162', '400161811f', '7d0163');
  const doubtful = fc.oneof(
    fc.constantFrom('be', 'bf', 'c2', '0f2f0163', '7e03787978', '20', '3f03', '80', 'ff80', '0003', '0001618118'),
    fc.constantFrom('000184ffffffff', '000183ffffff', '0f8080808000', 'ff808080808000', '0001617f80ffffff07'),
    fc.uint8Array({ minLength: 1, maxLength: 4 }).map((bytes) => Buffer.from(bytes).toString('hex')),
    fc.uint8Array({ maxLength: 9 }).map((bytes) => `0001618${bytes.length}${Buffer.from(bytes).toString('hex')}`),
  );
  const piece = fc.oneof({ weight: 5, arbitrary: good }, { weight: 1, arbitrary: doubtful });
  const updates = fc.constantFrom('', '', '', '20', '3f03', '3fe11f', '203fe11f', '3fe21f');
  const block = fc
    .tuple(updates, fc.array(piece, { maxLength: 6 }))
    .map(([update, pieces]) => Buffer.from(update + pieces.join(''), 'hex'));
  const seen = { decoded: 0, refused: 0 };
  await fc.assert(
    fc.asyncProperty(fc.array(block, { minLength: 1, maxLength: 3 }), async (blocks) => {
      const ours = decodes(blocks);
      // The one rule that nghttp2 does not have.
      fc.pre(ours !== 'too many updates');
      const theirs = await readByNghttp2(blocks);
      assert.equal(ours, theirs.decoded);
      if (ours) seen.decoded++;
      else seen.refused++;
    }),
    { numRuns: 600 },
  );
  assert.ok(seen.decoded > 50 && seen.refused > 50, JSON.stringify(seen));
});

function decodes(blocks: readonly Buffer[]): boolean | 'too many updates' {
  const decoder = new HpackDecoder({ maxListBytes: 65_536 });
  try {
    for (const block of blocks) decoder.decode(block);
    return true;
  } catch (error) {
    assert.ok(error instanceof HpackError);
    return error.message.includes('more than two table size updates') ? 'too many updates' : false;
  }
}
