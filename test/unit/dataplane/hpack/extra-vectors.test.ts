import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { HpackDecoder } from '../../../../src/dataplane/hpack/decoder.ts';
import { decodeLines } from '../../../support/header-fields.ts';

interface Story {
  readonly cases: readonly {
    readonly seqno: number;
    readonly wire: string;
    readonly headers: readonly Readonly<Record<string, string>>[];
  }[];
}

const folder = process.env['AIT_EXTRA_VECTORS'];

/** The one that always runs: RFC 7541, C.4, told as a story. */
const OWN: Story = {
  cases: [
    {
      seqno: 0,
      wire: '828684418cf1e3c2e5f23a6ba0ab90f4ff',
      headers: [{ ':method': 'GET' }, { ':scheme': 'http' }, { ':path': '/' }, { ':authority': 'www.example.com' }],
    },
    {
      seqno: 1,
      wire: '828684be5886a8eb10649cbf',
      headers: [
        { ':method': 'GET' },
        { ':scheme': 'http' },
        { ':path': '/' },
        { ':authority': 'www.example.com' },
        { 'cache-control': 'no-cache' },
      ],
    },
  ],
};

/** Each as [encoder and number, story]. */
function stories(): readonly (readonly [name: string, story: Story])[] {
  if (folder === undefined) return [['own', OWN]];
  const suite = join(folder, 'hpack');
  const encoders = readdirSync(suite, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return encoders.flatMap(({ name }) =>
    readdirSync(join(suite, name))
      .filter((file) => /^story_\d+\.json$/.test(file))
      .map((file) => [`${name}/${file}`, JSON.parse(readFileSync(join(suite, name, file), 'utf8')) as Story] as const),
  );
}

test('blocks of other encoders decode to the fields they were made of', (t) => {
  assert.ok(folder === undefined || existsSync(join(folder, 'hpack')), `${folder} holds no hpack`);
  let ran = 0;
  const all = stories();
  for (const [name, { cases }] of all) {
    // No story goes beyond 4096 bytes; those that change the table's size say so in their blocks.
    const decoder = new HpackDecoder({ maxListBytes: 1_000_000 });
    for (const { seqno, wire, headers } of cases) {
      const expected = headers.flatMap((field) => Object.entries(field).map(([key, value]) => `${key}: ${value}`));
      const decoded = decodeLines(decoder, wire).map((line) => line.replace(/^! /, ''));
      assert.deepEqual(decoded, expected, `${name}, case ${seqno}`);
      ran++;
    }
  }
  assert.ok(ran >= (folder === undefined ? 2 : 1000), `only ${ran} ran`);
  t.diagnostic(`ran ${ran} blocks of ${all.length} stories from ${folder === undefined ? 'this file' : 'outside'}`);
});
