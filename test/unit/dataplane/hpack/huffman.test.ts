import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeHuffman } from '../../../../src/dataplane/hpack/huffman.ts';

/** Codes of RFC 7541, appendix B: some of each length, as [octet, code in binary]. */
const CODES: readonly (readonly [octet: number, code: string])[] = [
  [0x30, '00000'],
  [0x74, '01001'],
  [0x20, '010100'],
  [0x75, '101101'],
  [0x3a, '1011100'],
  [0x7a, '1111011'],
  [0x26, '11111000'],
  [0x58, '11111100'],
  [0x21, '1111111000'],
  [0x3f, '1111111100'],
  [0x27, '11111111010'],
  [0x7c, '11111111100'],
  [0x23, '111111111010'],
  [0x3e, '111111111011'],
  [0x00, '1111111111000'],
  [0x7e, '1111111111101'],
  [0x5e, '11111111111100'],
  [0x7d, '11111111111101'],
  [0x3c, '111111111111100'],
  [0x7b, '111111111111110'],
  [0x5c, '1111111111111110000'],
  [0xd0, '1111111111111110010'],
  [0x80, '11111111111111100110'],
  [0xe2, '11111111111111101101'],
  [0x99, '111111111111111011100'],
  [0xe6, '111111111111111101000'],
  [0x81, '1111111111111111010010'],
  [0xe9, '1111111111111111101011'],
  [0x01, '11111111111111111011000'],
  [0xef, '11111111111111111110100'],
  [0x09, '111111111111111111101010'],
  [0xed, '111111111111111111110101'],
  [0xc7, '1111111111111111111101100'],
  [0xeb, '1111111111111111111101111'],
  [0xc0, '11111111111111111111100000'],
  [0xff, '11111111111111111111101110'],
  [0xcb, '111111111111111111111011110'],
  [0xfe, '111111111111111111111110000'],
  [0x02, '1111111111111111111111100010'],
  [0xf9, '1111111111111111111111111110'],
  [0x0a, '111111111111111111111111111100'],
  [0x16, '111111111111111111111111111110'],
];

function packed(bits: string): Buffer {
  const padded = bits.padEnd(Math.ceil(bits.length / 8) * 8, '1');
  return Buffer.from((padded.match(/.{8}/g) ?? []).map((octet) => Number.parseInt(octet, 2)));
}

test('codes of every length are as in RFC 7541, appendix B', () => {
  for (const [octet, code] of CODES) {
    const bytes = packed(code);
    assert.equal(decodeHuffman(bytes, 0, bytes.length), String.fromCharCode(octet), code);
  }
  const all = packed(CODES.map(([, code]) => code).join(''));
  assert.equal(decodeHuffman(all, 0, all.length), String.fromCharCode(...CODES.map(([octet]) => octet)));
});

test('a string longer than any scratch is decoded whole, and the next one after it', () => {
  const bytes = packed('00011'.repeat(80_000));
  assert.equal(decodeHuffman(bytes, 0, bytes.length), 'a'.repeat(80_000));
  const short = packed('00011100011');
  assert.equal(decodeHuffman(short, 0, short.length), 'ab');
});

test('only what lies between start and end is read', () => {
  const bytes = Buffer.concat([Buffer.from([0]), packed('00011'), Buffer.from([0])]);
  assert.equal(decodeHuffman(bytes, 1, 2), 'a');
});

test('one to seven bits of EOS may end a string, eight may not', () => {
  for (let ones = 1; ones <= 7; ones++) {
    // '0' has five bits; as many as are needed leave just so many for the end.
    const zeros = Array.from({ length: 8 }, (_, count) => count).find((count) => (5 * count + ones) % 8 === 0) ?? 0;
    const bytes = packed('00000'.repeat(zeros) + '1'.repeat(ones));
    assert.equal(decodeHuffman(bytes, 0, bytes.length), '0'.repeat(zeros), `${ones} bits`);
    const longer = Buffer.concat([bytes, Buffer.from([0xff])]);
    assert.throws(() => decodeHuffman(longer, 0, longer.length), { name: 'HpackError' }, `${ones + 8} bits`);
  }
});

test('padding with a zero anywhere is refused', () => {
  for (const end of [0b110, 0b101, 0b011, 0b000]) {
    assert.throws(() => decodeHuffman(Buffer.from([0b0001_1000 | end]), 0, 1), { name: 'HpackError' }, end.toString(2));
  }
});
