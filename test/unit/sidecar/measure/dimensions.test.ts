import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { appendFileSync, mkdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { digestJson, digestSequence, digestSet, digestText } from '../../../../src/domain/canonical/digest.ts';
import { brief, mainHash, startMeasurer, workspace } from './workspace.ts';

const sha = (data: string | Uint8Array) => createHash('sha256').update(data).digest('hex');
const tool = (name: string, description = 'does it') => ({ name, description });

async function measureOf(t: Parameters<typeof workspace>[0], root: string, section: Record<string, unknown>) {
  const { measurer } = await startMeasurer(t, root, { interval: '10m', ...section });
  return measurer.current();
}

async function failureOf(t: Parameters<typeof workspace>[0], root: string, section: Record<string, unknown>) {
  const result = await measureOf(t, root, section);
  return result.ok ? `measured: ${JSON.stringify(brief(result))}` : result.rejection.detail;
}

test('a byte order mark and Windows line ends make no difference, a trailing space does', async (t) => {
  const { root, file } = workspace(t);
  const path = file('prompt.md', 'a\nb\n');
  const { measurer } = await startMeasurer(t, root, { system_prompt: { main: 'prompt.md' } });
  const plain = mainHash(measurer.current());
  writeFileSync(path, '\uFEFFa\r\nb\r');
  assert.equal(mainHash(await measurer.measureNow()), plain);
  writeFileSync(path, 'a\nb \n');
  assert.notEqual(mainHash(await measurer.measureNow()), plain);
});

test('a list of files is an ordered set: order counts, file names do not', async (t) => {
  const { root, file } = workspace(t);
  file('a.md', 'first');
  file('b.md', 'second');
  file('renamed.md', 'first');
  const result = await measureOf(t, root, {
    system_prompt: { ab: ['a.md', 'b.md'], ba: ['b.md', 'a.md'], same: ['renamed.md', 'b.md'], alone: ['a.md'] },
  });
  assert.ok(result.ok);
  const prompts = result.measurement.system_prompt?.prompts ?? {};
  const named = (...texts: string[]) =>
    digestSequence(texts.map((text, index) => ({ name: String(index + 1), sha256: digestText(Buffer.from(text)) })));
  assert.deepEqual({ ...prompts['ab'] }, { hash: named('first', 'second'), canonicalization: 'ait-seq-1' });
  assert.equal(prompts['ba']?.hash, named('second', 'first'));
  assert.equal(prompts['same']?.hash, prompts['ab']?.hash);
  assert.deepEqual({ ...prompts['alone'] }, { hash: named('first'), canonicalization: 'ait-seq-1' });
});

test('a template counts with its text and its slots, and must fit them; none is a statement', async (t) => {
  const { root, file } = workspace(t);
  file('t.md', 'Today is {{today}}.\r\n');
  const slots = { today: { type: 'date' } };
  const result = await measureOf(t, root, {
    system_prompt: {
      main: { file: 't.md', slots },
      other: { file: 't.md', slots: { today: { type: 'id' } } },
      quiet: { none: true },
    },
  });
  assert.ok(result.ok);
  const { main, other, quiet } = result.measurement.system_prompt?.prompts ?? {};
  const written = { text: sha('Today is {{today}}.\n'), slots };
  assert.deepEqual({ ...main }, { hash: digestJson(written), canonicalization: 'ait-template-1' });
  assert.notEqual(other?.hash, main?.hash);
  assert.deepEqual({ ...quiet }, { hash: `sha256:${sha('')}`, canonicalization: 'ait-none-1' });
  const section = (declared: object) => ({ system_prompt: { main: { file: 't.md', slots: declared } } });
  assert.match(
    await failureOf(t, root, section({ day: { type: 'date' } })),
    /t\.md: the slot \{\{today\}\} is not declared/,
  );
  assert.match(
    await failureOf(t, root, section({ ...slots, day: { type: 'date' } })),
    /declared slot day does not stand/,
  );

  const alone = await measureOf(t, root, { system_prompt: { main: { none: true } } });
  assert.equal(alone.ok && alone.measurement.system_prompt?.assurance, 'declared');
});

test('a knowledge-base entry that differs from the manifest counts with its observed digest and is named', async (t) => {
  const { root, file } = workspace(t);
  const doc = file('kb/doc.md', 'as approved');
  const entries = [
    { name: 'doc', sha256: sha('as approved'), path: 'doc.md' },
    { name: 'remote', sha256: sha('elsewhere') },
  ];
  file('kb/manifest.json', JSON.stringify({ version: '7', entries }));
  const section = { knowledge_base: { manifest: 'kb/manifest.json' }, interval: '10m' };
  const { measurer, until } = await startMeasurer(t, root, section);
  const setOf = (text: string) =>
    digestSet([
      { name: 'doc', sha256: `sha256:${sha(text)}` },
      { name: 'remote', sha256: `sha256:${sha('elsewhere')}` },
    ]);
  const hash = () => {
    const result = measurer.current();
    return result.ok ? result.measurement.knowledge_base?.hash : undefined;
  };
  assert.equal(hash(), setOf('as approved'));
  writeFileSync(doc, 'as poisoned');
  const changed = await until(
    (result) => result.ok && result.measurement.knowledge_base?.hash === setOf('as poisoned'),
  );
  assert.ok(changed.ok && changed.notes.length === 1 && changed.notes[0]?.startsWith('knowledge_base: entry "doc": '));
  writeFileSync(doc, 'as approved');
  await until((result) => result.ok && result.measurement.knowledge_base?.hash === setOf('as approved'));
});

test('an entry must stay below the root, by its path and by what it links to', async (t) => {
  const { root, file } = workspace(t);
  file('secret', 'outside');
  mkdirSync(join(root, 'kb'));
  symlinkSync('../secret', join(root, 'kb/link'));
  const manifest = (path: string) =>
    file('kb/manifest.json', JSON.stringify({ version: '1', entries: [{ name: 'e', sha256: sha('x'), path }] }));
  const section = { knowledge_base: { manifest: 'kb/manifest.json' } };
  for (const path of ['../secret', '/etc/hostname', 'a/../../secret']) {
    manifest(path);
    assert.match(await failureOf(t, root, section), /entries\[0\]\.path: it must stay below the root/);
  }
  manifest('link');
  assert.match(await failureOf(t, root, section), /kb\/link: entry "e" leads out of the root/);
  assert.match(
    await failureOf(t, root, { knowledge_base: { manifest: 'kb/manifest.json', root: '.' } }),
    /link: does not exist/,
  );
});

test('a broken knowledge-base manifest is told with its place or member', async (t) => {
  const { root, file } = workspace(t);
  const section = { knowledge_base: { manifest: 'm.json' } };
  const cases: [string, RegExp][] = [
    ['{\n  "version": "1",\n  "entries": [}\n', /m\.json:3:15: /],
    ['{"version":"1","version":"2","entries":[]}', /m\.json:1:16: .*already in the object/],
    ['{"version":"1","entries":[]}', /m\.json: no entries/],
    ['{"version":"","entries":[]}', /m\.json: version: not 1 to 256 printable/],
    ['{"version":"1","entries":[{"name":"a","sha256":"AA"}]}', /entries\[0\]\.sha256: not 64 lowercase/],
    [
      `{"version":"1","entries":[{"name":"a","sha256":"${sha('a')}"},{"name":"a","sha256":"${sha('a')}"}]}`,
      /two entries have the same name/,
    ],
    ['', /m\.json: empty/],
    ['"\uD800"', /m\.json/],
  ];
  for (const [content, expected] of cases) {
    file('m.json', content);
    assert.match(await failureOf(t, root, section), expected, content);
  }
  truncateSync(join(root, 'm.json'), 5 * 1024 * 1024);
  assert.match(await failureOf(t, root, section), /larger than 4194304 bytes/);
});

test('tools: OpenAI and MCP forms, by name; a rename, an addition and any change show', async (t) => {
  const { root, file } = workspace(t);
  const openAi = { type: 'function', function: { name: 'search', parameters: { type: 'object' } } };
  const path = file('tools.json', JSON.stringify([openAi, tool('fetch')]));
  const { measurer } = await startMeasurer(t, root, { tools: { manifest: 'tools.json' } });
  const tools = async () => {
    const result = await measurer.measureNow();
    return result.ok ? { ...result.measurement.tools?.tools } : result.rejection.detail;
  };
  const both = { search: digestJson(openAi), fetch: digestJson(tool('fetch')) };
  assert.deepEqual(await tools(), both);
  writeFileSync(path, JSON.stringify({ tools: [tool('fetch'), openAi] }, null, 2));
  assert.deepEqual(await tools(), both);
  writeFileSync(path, JSON.stringify([openAi, tool('fetch', 'does more')]));
  assert.notDeepEqual(await tools(), both);
  writeFileSync(path, JSON.stringify([openAi, tool('fetch2')]));
  assert.deepEqual(Object.keys((await tools()) as object), ['search', 'fetch2']);
});

test('tools: duplicates, two names, no name, none at all and further members are refused', async (t) => {
  const { root, file } = workspace(t);
  const cases: [unknown, RegExp][] = [
    [[tool('a'), { function: { name: 'a' } }], /two tools are named "a"/],
    [[{ name: 'a', function: { name: 'b' } }], /tools\[0\]: it states two names/],
    [[{ description: 'x' }], /tools\[0\]: neither name nor function\.name/],
    [[], /no tools \(say not_applicable/],
    [{ tools: [tool('a')], nextCursor: 'more' }, /a member that does not belong there/],
    [{ tools: 'a' }, /tools: not an array/],
    ['a', /manifest: not an object/],
    [[tool('naïve')], /tools\[0\]\.name: not 1 to 128/],
  ];
  for (const [content, expected] of cases) {
    file('tools.json', JSON.stringify(content));
    assert.match(await failureOf(t, root, { tools: { manifest: 'tools.json' } }), expected);
  }
});

test('model: from a file with weights hashed in chunks; changed weights show', async (t) => {
  const { root, file } = workspace(t);
  const weights = Buffer.alloc(3_000_000, 'w');
  file('model/weights.bin', weights);
  file('model/model.json', JSON.stringify({ provider: 'p', id: 'm', version: '1', weights: 'weights.bin' }));
  const section = { model: { file: 'model/model.json' }, interval: '10m' };
  const { measurer, until } = await startMeasurer(t, root, section);
  const hash = () => {
    const result = measurer.current();
    return result.ok ? result.measurement.model?.hash : brief(result);
  };
  assert.equal(hash(), `sha256:${sha(weights)}`);
  appendFileSync(join(root, 'model/weights.bin'), 'x');
  const grown = `sha256:${sha(Buffer.concat([weights, Buffer.from('x')]))}`;
  await until((result) => result.ok && result.measurement.model?.hash === grown);
});

test('model: inline, with a stated digest, and broken', async (t) => {
  const { root, file } = workspace(t);
  const identity = { provider: 'p', id: 'm', version: '1' };
  const inline = await measureOf(t, root, {
    model: { ...identity, weights: sha('w') },
    agent_cannot_write: { model: true },
  });
  assert.deepEqual(brief(inline), {
    system_prompt: null,
    knowledge_base: null,
    model: { ...identity, hash: `sha256:${sha('w')}`, assurance: 'declared' },
    tools: null,
  });
  file('model.json', JSON.stringify({ provider: 'p', id: 'm' }));
  assert.match(await failureOf(t, root, { model: { file: 'model.json' } }), /the member "version" is missing/);
  file('model.json', JSON.stringify({ ...identity, weights: 'gone.bin' }));
  assert.match(await failureOf(t, root, { model: { file: 'model.json' } }), /gone\.bin: does not exist/);
});
