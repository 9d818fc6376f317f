import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toJsonSchema } from '@valibot/to-json-schema';
import { loadConfig } from '../../../../src/platform/config-source.ts';
import { ConfigError } from '../../../../src/platform/config-source.ts';
import * as v from 'valibot';
import { measureSection } from '../../../../src/sidecar/measure/measure-schema.ts';
import { configOf, workspace } from './workspace.ts';

const complete = `
measure:
  system_prompt: { main: p.md }
  knowledge_base: not_applicable
  model: { provider: p, id: m, version: "1" }
  tools: not_applicable
`;

function load(t: Parameters<typeof workspace>[0], text: string): unknown {
  const file = workspace(t).file('c.yaml', text);
  return loadConfig({ schema: v.looseObject({ measure: measureSection }), file, env: {} });
}

test('paths start at the folder of the file, and everything has its default', () => {
  const config = configOf('/etc/agent', {
    system_prompt: { main: 'p.md', all: ['a', '/b'] },
    knowledge_base: { manifest: 'kb/m.json' },
  });
  assert.deepEqual(
    [...(config.systemPrompt ?? [])],
    [
      ['main', { kind: 'text', files: ['/etc/agent/p.md'], sequence: false }],
      ['all', { kind: 'text', files: ['/etc/agent/a', '/b'], sequence: true }],
    ],
  );
  assert.deepEqual(config.knowledgeBase, { manifest: '/etc/agent/kb/m.json', root: '/etc/agent/kb' });
  assert.deepEqual(
    [config.intervalMs, config.maxPromptBytes, config.maxManifestBytes, config.agentUid, config.agentGids],
    [5_000, 1_048_576, 4_194_304, undefined, undefined],
  );
  assert.equal(config.agentCannotWrite.tools, false);
});

test('a complete section loads; each omission and mistake is a problem', (t) => {
  load(t, complete);
  const cases: [string, RegExp][] = [
    [complete.replace('  tools: not_applicable\n', ''), /measure\.tools/],
    [complete.replace('{ main: p.md }', '{}'), /name at least one prompt/],
    [complete.replace('{ main: p.md }', '{ main: [] }'), /measure\.system_prompt/],
    [complete.replace('p.md', '""'), /measure\.system_prompt\.main: is empty/],
    [complete.replace('tools: not_applicable', 'tools: none'), /measure\.tools/],
    [`${complete}  interval: 5 seconds\n`, /measure\.interval: "5 seconds" is not a duration/],
    [`${complete}  interval: 1ms\n`, /at least 100 ms/],
    [`${complete}  agent_uid: -1\n`, /measure\.agent_uid/],
    [`${complete}  agent_cannot_write: { prompt: true }\n`, /measure\.agent_cannot_write\.prompt: is not a setting/],
    [
      complete.replace('{ main: p.md }', 'not_applicable').replace(/\{ provider.*\}/, 'not_applicable'),
      /nothing is measured/,
    ],
  ];
  for (const [text, expected] of cases) {
    assert.throws(
      () => load(t, text),
      (error) => error instanceof ConfigError && expected.test(error.message),
      text,
    );
  }
});

test('a prompt may be a template, or the statement that there is none', () => {
  const slots = { n: { type: 'integer', min: 0, max: 9 }, id: { type: 'id' }, e: { type: 'enum', values: ['b', 'a'] } };
  const { systemPrompt } = configOf('/etc/agent', {
    system_prompt: { main: { file: 'p.md', slots }, quiet: { none: true } },
  });
  const main = systemPrompt?.get('main');
  assert.ok(main?.kind === 'template');
  assert.deepEqual(main.files, ['/etc/agent/p.md']);
  assert.deepEqual(
    [...main.slots],
    [
      ['n', { type: 'integer', min: 0, max: 9 }],
      ['id', { type: 'id', maxLength: 64 }],
      ['e', { type: 'enum', values: ['a', 'b'] }],
    ],
  );
  assert.deepEqual(systemPrompt?.get('quiet'), { kind: 'none', files: [] });
});

test('slots that are not well declared are a problem of the configuration', (t) => {
  const declared = (slots: string) => complete.replace('p.md', `{ file: p.md, slots: ${slots} }`);
  load(t, declared('{ a: { type: date } }'));
  for (const slots of [
    '{}',
    '{ "a b": { type: date } }',
    '{ a: { type: text } }',
    '{ a: { type: date, format: x } }',
    '{ a: { type: integer, min: 0 } }',
    '{ a: { type: integer, min: 2, max: 1 } }',
    '{ a: { type: integer, min: 0, max: 1.5 } }',
    '{ a: { type: id, max_length: 129 } }',
    '{ a: { type: enum, values: [] } }',
    '{ a: { type: enum, values: [x, x] } }',
    '{ a: { type: enum, values: ["x\\ny"] } }',
  ]) {
    assert.throws(() => load(t, declared(slots)), /measure\.system_prompt\.main/, slots);
  }
  assert.throws(() => load(t, complete.replace('p.md', '{ none: false }')), /measure\.system_prompt\.main/);
});

test('every setting has a description in the JSON Schema', () => {
  const schema = toJsonSchema(measureSection, { typeMode: 'input', errorMode: 'ignore' });
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    assert.ok(typeof property === 'object' && property.description !== undefined, `${name} has no description`);
  }
});
