import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judgeModelVariables, judgePeerVariables, judgeProxies } from '../../../../src/cli/check/judge-variables.ts';
import type { Finding } from '../../../../src/cli/check/finding.ts';
import type { Ways } from '../../../../src/cli/check/ways.ts';
import type { Environment } from '../../../../src/platform/environment.ts';

const SOCKETS: Ways = {
  peers: [{ peer: 'researcher', meshName: 'researcher.mesh', at: 'unix:/run/to-researcher.sock' }],
  common: '127.0.0.1:17001',
  inference: undefined,
  app: undefined,
};
const PORTS: Ways = {
  ...SOCKETS,
  peers: [{ peer: 'researcher', meshName: 'researcher.mesh', at: '127.0.0.1:17002' }],
  inference: '127.0.0.1:17010',
};

/** Each finding in short: its verdict and what it says. */
const short = (findings: readonly Finding[]) => findings.map(({ verdict, detail }) => `${verdict} ${detail}`);

function onlyFailure(findings: readonly Finding[]): Required<Finding> {
  const [first, ...more] = findings;
  assert.deepEqual(more, []);
  assert.equal(first?.verdict, 'fail', JSON.stringify(first));
  assert.ok(first.fix !== undefined && first.fix !== '');
  return first as Required<Finding>;
}

test('without a proxy nothing leads around the sidecar', () => {
  assert.deepEqual(short(judgeProxies({}, PORTS)), ['ok none is set']);
  assert.deepEqual(short(judgeProxies({ HTTP_PROXY: '' }, PORTS)), ['ok none is set']);
});

test('the port for all peers as a proxy, however it is written', () => {
  for (const value of [
    'http://127.0.0.1:17001',
    'http://localhost:17001/',
    '127.0.0.1:17001',
    'HTTP://127.0.0.1:17001',
  ]) {
    assert.match(short(judgeProxies({ grpc_proxy: value }, SOCKETS))[0] ?? '', /^ok grpc_proxy lead/, value);
  }
});

test('a proxy in between the agent and ports of its own sidecar is a failure unless they are excluded', () => {
  const env: Environment = { HTTPS_PROXY: 'http://proxy.corp.example:3128' };
  const { detail, fix } = onlyFailure(judgeProxies(env, PORTS));
  assert.match(detail, /HTTPS_PROXY.*127\.0\.0\.1:17002.*proxy\.corp\.example:3128/);
  assert.match(fix, /NO_PROXY/);
  assert.deepEqual(short(judgeProxies({ ...env, NO_PROXY: '127.0.0.1' }, PORTS)), [
    'ok none concerns a call of the mesh',
  ]);
  // The two spellings are read by different clients.
  onlyFailure(judgeProxies({ ...env, NO_PROXY: '127.0.0.1', no_proxy: 'localhost' }, PORTS));
  // Nobody's proxy concerns a unix socket.
  assert.deepEqual(short(judgeProxies(env, SOCKETS)), ['ok none concerns a call of the mesh']);
});

test("the sidecar's own port as a proxy for its other ports is a failure, too: it does not know these names", () => {
  const { detail } = onlyFailure(judgeProxies({ HTTP_PROXY: 'http://127.0.0.1:17001' }, PORTS));
  assert.match(detail, /does not know this name/);
});

test('names of agents that are excluded from the proxy are called around the mesh', () => {
  for (const list of ['*', 'mesh', '.mesh', 'researcher.mesh', 'researcher.mesh:443']) {
    const findings = judgeProxies({ HTTP_PROXY: 'http://127.0.0.1:17001', no_proxy: list }, SOCKETS);
    assert.match(onlyFailure(findings).detail, /researcher\.mesh go around/, list);
  }
  const other = judgeProxies({ HTTP_PROXY: 'http://127.0.0.1:17001', NO_PROXY: 'pypi.org' }, SOCKETS);
  assert.equal(other[0]?.verdict, 'ok');
});

test('a proxy by TLS, and one that is no URL', () => {
  const tls = onlyFailure(judgeProxies({ HTTPS_PROXY: 'https://127.0.0.1:17001' }, SOCKETS));
  assert.match(tls.fix, /HTTPS_PROXY=http:\/\/127\.0\.0\.1:17001/);
  onlyFailure(judgeProxies({ http_proxy: 'http://[' }, SOCKETS));
});

test('the password of a proxy is not told', () => {
  const findings = judgeProxies({ HTTP_PROXY: 'http://me:hunter2@proxy.corp.example:3128' }, PORTS);
  assert.doesNotMatch(JSON.stringify(findings), /hunter2/);
});

test('a model that is called elsewhere, by TLS, or with a key of its own', () => {
  const at = (env: Environment) => judgeModelVariables(env, PORTS);
  assert.match(onlyFailure(at({ OPENAI_BASE_URL: 'https://api.openai.com/v1' })).detail, /api\.openai\.com:443/);
  assert.match(onlyFailure(at({ OPENAI_API_BASE: 'http://127.0.0.1:17011/v1' })).fix, /127\.0\.0\.1:17010/);
  assert.match(onlyFailure(at({ OPENAI_BASE_URL: 'https://127.0.0.1:17010/v1' })).detail, /TLS/);
  const key = onlyFailure(at({ OPENAI_BASE_URL: 'http://localhost:17010/v1', OPENAI_API_KEY: 'sk-proj-1234567890' }));
  assert.doesNotMatch(JSON.stringify(key), /1234567890/);
  const good = { OPENAI_BASE_URL: 'http://localhost:17010/v1', OPENAI_API_KEY: 'not-a-key--the-sidecar-has-it' };
  assert.equal(at(good)[0]?.verdict, 'ok');
  assert.equal(at({})[0]?.verdict, 'warn');
  assert.equal(judgeModelVariables({}, SOCKETS)[0]?.verdict, 'skip');
});

test('a variable of a peer from before', () => {
  const { detail } = onlyFailure(judgePeerVariables({ AIT_PEER_RESEARCHER: '127.0.0.1:1' }, PORTS));
  assert.match(detail, /AIT_PEER_RESEARCHER is 127\.0\.0\.1:1.*127\.0\.0\.1:17002/);
  assert.equal(judgePeerVariables({ AIT_PEER_RESEARCHER: 'localhost:17002' }, PORTS)[0]?.verdict, 'ok');
  assert.equal(judgePeerVariables({}, PORTS)[0]?.verdict, 'skip');
});
