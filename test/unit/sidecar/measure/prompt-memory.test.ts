import assert from 'node:assert/strict';
import { appendFileSync, existsSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { createPromptMemory } from '../../../../src/sidecar/measure/prompt-memory.ts';
import { createTemplate, digestTemplate } from '../../../../src/domain/prompt/prompt-template.ts';
import { parseSlots } from '../../../../src/domain/prompt/slot.ts';
import { digestOfParts, NO_PROMPT } from '../../../../src/domain/prompt/known-prompt.ts';
import { silent, workspace } from './workspace.ts';

const hashOf = (...texts: string[]) => digestOfParts(texts, texts.length > 1).hash;

test('says where a prompt differs and whether only in whitespace, in both spellings of a digest', () => {
  const memory = createPromptMemory({ logger: silent });
  for (const text of ['a\nbc', 'a\nb c', 'a\nbd']) memory.observe(hashOf(text), [text]);
  const place = { byteOffset: 3, line: 2, column: 2 };
  assert.deepEqual(memory.describe(hashOf('a\nbc'), hashOf('a\nb c')), { ...place, whitespaceOnly: true });
  assert.deepEqual(memory.describe(`ait-text-1 ${hashOf('a\nbc')}`, `ait-text-1 ${hashOf('a\nbd')}`), {
    ...place,
    whitespaceOnly: false,
  });
  assert.equal(memory.describe(hashOf('a\nbc'), hashOf('unknown')), undefined);
  assert.equal(memory.describe('2 item(s)', hashOf('a\nbc')), undefined);
});

test('an ordered set is described by its first differing file', () => {
  const memory = createPromptMemory({ logger: silent });
  memory.observe(hashOf('a', 'b', 'c'), ['a', 'b', 'c']);
  memory.observe(hashOf('a', 'b ', 'c '), ['a', 'b ', 'c ']);
  memory.observe(hashOf('a', 'b'), ['a', 'b']);
  assert.deepEqual(memory.describe(hashOf('a', 'b', 'c'), hashOf('a', 'b ', 'c ')), {
    byteOffset: 1,
    line: 1,
    column: 2,
    whitespaceOnly: true,
    part: 2,
  });
  assert.equal(memory.describe(hashOf('a', 'b', 'c'), hashOf('a', 'b')), undefined);
});

test('only approved texts reach the disk, readable by the owner alone, and survive a restart', async (t) => {
  const directory = join(workspace(t).root, 'prompts');
  const memory = createPromptMemory({ directory, logger: silent });
  memory.observe(hashOf('approved'), ['approved']);
  memory.observe(hashOf('poisoned'), ['poisoned']);
  assert.ok(!existsSync(directory));
  await memory.approve(hashOf('approved'));
  await memory.approve(hashOf('never seen'));
  const [name, ...more] = readdirSync(directory);
  assert.deepEqual(more, []);
  assert.equal(statSync(join(directory, name ?? '')).mode & 0o777, 0o600);

  const later = createPromptMemory({ directory, logger: silent });
  later.observe(hashOf('approved '), ['approved ']);
  assert.equal(later.describe(hashOf('approved'), hashOf('approved '))?.byteOffset, 8);

  appendFileSync(join(directory, name ?? ''), ' ["x"]');
  const tampered = createPromptMemory({ directory, logger: silent });
  tampered.observe(hashOf('approved '), ['approved ']);
  assert.equal(tampered.describe(hashOf('approved'), hashOf('approved ')), undefined);
});

test('at most 128 texts are kept, in memory and on disk', async (t) => {
  const directory = join(workspace(t).root, 'prompts');
  const memory = createPromptMemory({ directory, logger: silent });
  for (let index = 0; index < 136; index += 1) {
    memory.observe(hashOf(`text ${index}`), [`text ${index}`]);
    await memory.approve(hashOf(`text ${index}`));
  }
  assert.equal(readdirSync(directory).length, 128);
  const forgetful = createPromptMemory({ logger: silent });
  for (let index = 0; index < 129; index += 1) forgetful.observe(hashOf(`text ${index}`), [`text ${index}`]);
  assert.equal(forgetful.describe(hashOf('text 0'), hashOf('text 128')), undefined);
  assert.notEqual(forgetful.describe(hashOf('text 1'), hashOf('text 128')), undefined);
});

test('a template is known by its digest, also after a restart, and described like a text', async (t) => {
  const directory = join(workspace(t).root, 'prompts');
  const slots = parseSlots({ day: { type: 'date' } });
  const [approved, changed] = ['On {{day}}.', 'On {{day}}!'].map((text) => createTemplate(text, slots));
  assert.ok(approved !== undefined && changed !== undefined);
  const relaxed = createTemplate('On {{day}}.', parseSlots({ day: { type: 'id' } }));
  const hash = digestTemplate(approved).hash;
  const memory = createPromptMemory({ directory, logger: silent });
  memory.observe(hash, approved);
  memory.observe(NO_PROMPT.hash, []);
  await memory.approve(hash);
  await memory.approve(NO_PROMPT.hash);

  const later = createPromptMemory({ directory, logger: silent });
  assert.deepEqual(later.find(hash), approved);
  assert.deepEqual(later.find(NO_PROMPT.hash), []);
  assert.equal(later.find(digestTemplate(changed).hash), undefined);
  for (const template of [changed, relaxed]) later.observe(digestTemplate(template).hash, template);
  assert.equal(later.describe(hash, digestTemplate(changed).hash)?.byteOffset, 10);
  assert.match(later.disclose(hash, digestTemplate(relaxed).hash, 10_000) ?? '', /\(slots\)[^]*-.*date[^]*\+.*id/);

  const [name] = readdirSync(directory).filter((file) => file.startsWith(hash.slice(7)));
  writeFileSync(join(directory, name ?? ''), '{"text":"On {{day}}.","slots":{"day":{"type":"id"}}}');
  assert.equal(createPromptMemory({ directory, logger: silent }).find(hash), undefined, 'another declaration');
});

test('what is asked for again and again is the last to be forgotten', () => {
  const memory = createPromptMemory({ logger: silent });
  memory.observe(hashOf('in use'), ['in use']);
  for (let index = 0; index < 300; index += 1) {
    memory.observe(hashOf(`text ${index}`), [`text ${index}`]);
    assert.deepEqual(memory.find(hashOf('in use')), ['in use']);
  }
});

test('the tools of the last four manifests are known', () => {
  const memory = createPromptMemory({ logger: silent });
  for (let index = 0; index < 6; index += 1) memory.observeTools(new Map([[hashOf(`tool ${index}`), { index }]]));
  const known = Array.from({ length: 6 }, (_, index) => memory.findTool(hashOf(`tool ${index}`))?.['index']);
  assert.deepEqual(known, [undefined, undefined, 2, 3, 4, 5]);
});
