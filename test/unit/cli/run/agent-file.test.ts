import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { defaultStateDir, loadAgentFile } from '../../../../src/cli/run/agent-file.ts';
import { ConfigError } from '../../../../src/platform/config-source.ts';

const folder = mkdtempSync(join(tmpdir(), 'ait-agent-file-'));
after(() => rmSync(folder, { recursive: true }));
const file = join(folder, 'agent.yaml');

const BASIS = `
authority: { join_credential: c }
measure: { system_prompt: { main: p.md }, knowledge_base: not_applicable, model: not_applicable, tools: not_applicable }
`;

function load(text: string, more: { env?: Record<string, string>; settings?: Record<string, string> } = {}) {
  writeFileSync(file, BASIS + text);
  const { env = { XDG_STATE_HOME: '/state' }, settings = {} } = more;
  return loadAgentFile({ file, env, command: ['agent'], settings, appPort: 4321, uid: 1000 });
}

test('what is left out fits one agent on one machine: loopback, sockets of its own, the user it is run as', () => {
  const { config, env } = load('peers: [{ agent: team/a }]\napp: {}\n');
  const state = defaultStateDir(file, { XDG_STATE_HOME: '/state' });
  assert.match(state, /^\/state\/ait-mesh\/agent-[0-9a-f]{10}$/);
  assert.equal(config.state_dir, state);
  assert.deepEqual([config.inbound.listen, config.metrics.listen], ['127.0.0.1:0', '127.0.0.1:0']);
  assert.deepEqual(
    config.peers.map(({ agent, listen }) => [agent, listen]),
    [['team/a', `unix:${state}/run/to-team.a.sock`]],
  );
  assert.equal(config.app?.address, `unix:${state}/run/agent.sock`);
  assert.equal(config.measure.agent_uid, 1000);
  assert.equal(config.admin.socket, undefined);
  assert.deepEqual(env, {});
});

test('what is said is kept; a relative state directory starts at the file', () => {
  const { config } = load(`
state_dir: s
inbound: { listen: '0.0.0.0:17443' }
metrics: { listen: '127.0.0.1:9' }
peers: [{ agent: a, listen: '127.0.0.1:7' }]
app: { address: '127.0.0.1:8' }
`);
  assert.deepEqual(
    [config.state_dir, config.inbound.listen, config.metrics.listen, config.peers[0]?.listen, config.app?.address],
    [join(folder, 's'), '0.0.0.0:17443', '127.0.0.1:9', '127.0.0.1:7', '127.0.0.1:8'],
  );
});

test('variables go over the file and settings over both; port 0 of the agent becomes one that is known', () => {
  const env = { AIT_SIDECAR_STATE_DIR: '/by-variable', AIT_SIDECAR_METRICS__LISTEN: '127.0.0.1:5' };
  const { config } = load("state_dir: s\napp: { address: '127.0.0.1:0' }\n", {
    env,
    settings: { state_dir: '/by-flag' },
  });
  assert.deepEqual(
    [config.state_dir, config.metrics.listen, config.app?.address],
    ['/by-flag', '127.0.0.1:5', '127.0.0.1:4321'],
  );
});

test('sockets whose path would be too long lie elsewhere, all of them together', () => {
  const { config } = load(`state_dir: ${'/long'.repeat(25)}\npeers: [{ agent: a }]\napp: {}\n`);
  const [peer, agent, admin] = [config.peers[0]?.listen ?? '', config.app?.address ?? '', config.admin.socket ?? ''];
  assert.match(admin, /\/ait-\d+-[0-9a-f]{10}\/admin\.sock$/);
  const short = admin.replace(/admin\.sock$/, '');
  assert.deepEqual([peer, agent], [`unix:${short}to-a.sock`, `unix:${short}agent.sock`]);
});

test('without or with a relative XDG_STATE_HOME the state is in ~/.local/state; each file has its own', () => {
  assert.match(defaultStateDir('/a/agent.yaml', {}), /\/\.local\/state\/ait-mesh\/agent-/);
  assert.match(defaultStateDir('/a/agent.yaml', { XDG_STATE_HOME: 'here' }), /\/\.local\/state\/ait-mesh\/agent-/);
  assert.notEqual(defaultStateDir('/a/agent.yaml', {}), defaultStateDir('/b/agent.yaml', {}));
});

test('two peers under one variable are refused, also where one is spelled as a SPIFFE ID', () => {
  for (const [a, b] of [
    ['web-search', 'web.search'],
    ['x', 'X'],
    ['a/b', 'spiffe://other.example/agent/a-b'],
  ]) {
    assert.throws(
      () => load(`peers: [{ agent: '${a}' }, { agent: '${b}' }]\n`),
      (error) => error instanceof ConfigError && /would both be AIT_PEER_/.test(error.message),
      `${a} ${b}`,
    );
  }
});

test('another user, AIT_ variables and names that are none are refused, all at once', () => {
  const text = `env: { AIT_PEER_A: x, 'A B': x, FINE: x }\n`;
  writeFileSync(file, BASIS.replace('tools:', 'agent_uid: 7, tools:') + text);
  assert.throws(
    () => loadAgentFile({ file, env: {}, command: [], settings: {}, appPort: 1, uid: 1000 }),
    (error) => {
      assert.ok(error instanceof ConfigError);
      assert.deepEqual(error.problems.map(({ path }) => path).sort(), [
        'env.A B',
        'env.AIT_PEER_A',
        'measure.agent_uid',
      ]);
      return true;
    },
  );
});

test('the example file of the package is in order, and its paths lead to what is there', () => {
  const example = new URL('../../../../examples/agent.yaml', import.meta.url).pathname;
  const { config, env } = loadAgentFile({ file: example, env: {}, command: [], settings: {}, appPort: 1, uid: 1000 });
  assert.deepEqual(env, { RESEARCHER: '${peer.researcher}', AGENT_HOME: 'planner' });
  const { system_prompt: prompts } = config.measure;
  assert.ok(typeof prompts === 'object');
  for (const path of Object.values(prompts).flat()) {
    assert.ok(typeof path === 'string');
    assert.ok(existsSync(join(dirname(example), path)), path);
  }
});
