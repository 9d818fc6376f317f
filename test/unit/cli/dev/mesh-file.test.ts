import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { loadMeshFile } from '../../../../src/cli/dev/mesh-file.ts';
import { ConfigError } from '../../../../src/platform/config-source.ts';

const folder = mkdtempSync(join(tmpdir(), 'ait-mesh-file-'));
after(() => rmSync(folder, { recursive: true }));

function load(text: string) {
  const file = join(folder, 'mesh.yaml');
  writeFileSync(file, text);
  return loadMeshFile(file);
}

const measure = `{ system_prompt: { main: p.md }, knowledge_base: not_applicable, model: not_applicable, tools: not_applicable }`;

test('a file of two agents becomes a plan: paths absolute, addresses chosen where they are needed', () => {
  const { trustDomain, agents } = load(`
agents:
  caller:
    command: [node, caller.mjs, '--to', '\${peer.called}']
    calls: [called]
    measure: ${measure}
  called:
    command: [node, called.mjs]
    cwd: sub
    env: { LISTEN: '\${listen}' }
    measure: ${measure}
`);
  assert.equal(trustDomain, 'dev.local');
  const [caller, called] = agents;
  assert.equal(caller?.listen, undefined);
  assert.deepEqual(caller?.calls, [{ agent: 'called', listen: 'default' }]);
  assert.equal(called?.listen, 'default');
  assert.equal(called?.cwd, join(folder, 'sub'));
  assert.deepEqual(called?.measure.systemPrompt?.get('main')?.files, [join(folder, 'p.md')]);
});

test('addresses of one’s own are kept', () => {
  const { agents } = load(`
agents:
  a: { command: [a], calls: [{ agent: b, listen: '127.0.0.1:9001' }], measure: ${measure} }
  b: { command: [b], listen: '127.0.0.1:9000', measure: ${measure} }
`);
  assert.equal(agents[0]?.calls[0]?.listen, '127.0.0.1:9001');
  assert.equal(agents[1]?.listen, '127.0.0.1:9000');
});

test('the example file of the package is in order', () => {
  const { agents } = loadMeshFile(new URL('../../../../examples/mesh.yaml', import.meta.url).pathname);
  assert.deepEqual(
    agents.map(({ name }) => name),
    ['planner', 'researcher'],
  );
});

test('all mistakes of the sense are named at once', () => {
  const wrong = `
trust_domain: Not.Good
agents:
  a: { command: [a, '\${listen}'], calls: [a, nobody], env: { X: '\${peer.c}' }, measure: ${measure} }
`;
  assert.throws(
    () => load(wrong),
    (error: unknown) => {
      assert.ok(error instanceof ConfigError);
      const paths = error.problems.map(({ path }) => path);
      assert.deepEqual(paths, [
        'trust_domain',
        'agents.a.calls[0]',
        'agents.a.calls[1]',
        'agents.a.command[1]',
        'agents.a.env.X',
      ]);
      return true;
    },
  );
});

test('an address that others could reach is refused', () => {
  assert.throws(() => load(`agents: { a: { command: [a], listen: '0.0.0.0:9000', measure: ${measure} } }`), /loopback/);
});

test('models are simulated unless a provider is named; its files are found from the folder of this one', () => {
  const agents = `agents:\n  a: { command: [a], measure: ${measure} }\n`;
  assert.deepEqual(load(agents).inference, { kind: 'simulated' });
  const { inference } = load(
    `${agents}inference: { provider: { base_url: 'https://models.example/v1', api_key_file: keys/provider } }\n`,
  );
  assert.deepEqual(inference, {
    kind: 'provider',
    provider: { base_url: 'https://models.example/v1', api_key_file: join(folder, 'keys/provider'), model_map: {} },
  });
});

test('a provider without TLS is refused where it is not on this machine', () => {
  const text = `agents:\n  a: { command: [a], measure: ${measure} }\ninference: { provider: { insecure_base_url: 'http://models.example/v1' } }\n`;
  assert.throws(
    () => load(text),
    (error: unknown) =>
      error instanceof ConfigError && error.problems.some(({ path }) => path.startsWith('inference.provider')),
  );
});
