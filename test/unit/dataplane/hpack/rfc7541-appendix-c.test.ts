import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BlockReader } from '../../../../src/dataplane/hpack/block-reader.ts';
import { HpackDecoder } from '../../../../src/dataplane/hpack/decoder.ts';
import { HpackError } from '../../../../src/dataplane/hpack/hpack-error.ts';
import { decodeLines, tableLines } from '../../../support/header-fields.ts';

function decoder(maxTableBytes?: number): HpackDecoder {
  return new HpackDecoder({ maxListBytes: 65_536, ...(maxTableBytes !== undefined && { maxTableBytes }) });
}

interface Step {
  readonly block: string;
  readonly fields: readonly string[];
  /** The dynamic table afterwards, newest first. */
  readonly table: readonly string[];
}

function follow(decoder: HpackDecoder, steps: readonly Step[]): void {
  for (const { block, fields, table } of steps) {
    assert.deepEqual(decodeLines(decoder, block), fields, block);
    assert.deepEqual(tableLines(decoder, table.length), table, `the table after ${block}`);
  }
  const beyond = Buffer.from([0x80 | (62 + (steps.at(-1)?.table.length ?? 0))]);
  assert.throws(() => decoder.decode(beyond), HpackError, 'the table holds nothing else');
}

test('C.1: integers', () => {
  const read = (hex: string, prefix: number) => new BlockReader(Buffer.from(hex, 'hex')).integer(prefix);
  assert.equal(read('0a', 0x1f), 10, 'C.1.1');
  assert.equal(read('1f9a0a', 0x1f), 1337, 'C.1.2');
  assert.equal(read('2a', 0xff), 42, 'C.1.3');
});

test('C.2.1: a literal with indexing', () => {
  const fields = ['custom-key: custom-header'];
  follow(decoder(), [{ block: '400a637573746f6d2d6b65790d637573746f6d2d686561646572', fields, table: fields }]);
});

test('C.2.2: a literal without indexing', () => {
  follow(decoder(), [{ block: '040c2f73616d706c652f70617468', fields: [':path: /sample/path'], table: [] }]);
});

test('C.2.3: a literal never indexed', () => {
  follow(decoder(), [{ block: '100870617373776f726406736563726574', fields: ['! password: secret'], table: [] }]);
});

test('C.2.4: an indexed field', () => {
  follow(decoder(), [{ block: '82', fields: [':method: GET'], table: [] }]);
});

const WEB = [':method: GET', ':scheme: http', ':path: /', ':authority: www.example.com'];

function requests(blocks: readonly [string, string, string]): readonly Step[] {
  return [
    { block: blocks[0], fields: WEB, table: [':authority: www.example.com'] },
    {
      block: blocks[1],
      fields: [...WEB, 'cache-control: no-cache'],
      table: ['cache-control: no-cache', ':authority: www.example.com'],
    },
    {
      block: blocks[2],
      fields: [
        ':method: GET',
        ':scheme: https',
        ':path: /index.html',
        ':authority: www.example.com',
        'custom-key: custom-value',
      ],
      table: ['custom-key: custom-value', 'cache-control: no-cache', ':authority: www.example.com'],
    },
  ];
}

test('C.3: requests without Huffman coding', () => {
  follow(
    decoder(),
    requests([
      '828684410f7777772e6578616d706c652e636f6d',
      '828684be58086e6f2d6361636865',
      '828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565',
    ]),
  );
});

test('C.4: requests with Huffman coding', () => {
  follow(
    decoder(),
    requests([
      '828684418cf1e3c2e5f23a6ba0ab90f4ff',
      '828684be5886a8eb10649cbf',
      '828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf',
    ]),
  );
});

const LOCATION = 'location: https://www.example.com';
const DATE = 'date: Mon, 21 Oct 2013 20:13:21 GMT';
const LATER = 'date: Mon, 21 Oct 2013 20:13:22 GMT';
const PRIVATE = 'cache-control: private';
const COOKIE = 'set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1';

function responses(blocks: readonly [string, string, string]): readonly Step[] {
  return [
    {
      block: blocks[0],
      fields: [':status: 302', PRIVATE, DATE, LOCATION],
      table: [LOCATION, DATE, PRIVATE, ':status: 302'],
    },
    {
      block: blocks[1],
      fields: [':status: 307', PRIVATE, DATE, LOCATION],
      table: [':status: 307', LOCATION, DATE, PRIVATE],
    },
    {
      block: blocks[2],
      fields: [':status: 200', PRIVATE, LATER, LOCATION, 'content-encoding: gzip', COOKIE],
      table: [COOKIE, 'content-encoding: gzip', LATER],
    },
  ];
}

test('C.5: responses without Huffman coding, and with eviction', () => {
  follow(
    decoder(256),
    responses([
      '4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120474d54' +
        '6e1768747470733a2f2f7777772e6578616d706c652e636f6d',
      '4803333037c1c0bf',
      '88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a69707738666f6f3d4153444a4b48514b' +
        '425a584f5157454f50495541585157454f49553b206d61782d6167653d333630303b2076657273696f6e3d31',
    ]),
  );
});

test('C.6: responses with Huffman coding, and with eviction', () => {
  follow(
    decoder(256),
    responses([
      '488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3',
      '4883640effc1c0bf',
      '88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f' +
        '3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007',
    ]),
  );
});
