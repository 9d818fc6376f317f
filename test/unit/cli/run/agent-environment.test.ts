import assert from 'node:assert/strict';
import { test } from 'node:test';
import { agentEnvironment, expand, peerVariable } from '../../../../src/cli/run/agent-environment.ts';

const addresses = {
  peers: [{ agent: 'spiffe://a.example/agent/team/web-search', listen: 'unix:/s/w' }],
};
const nothing = { inherited: {}, addresses, listen: undefined, own: {} };

test('a peer’s variable is its name in upper case, whatever is no letter or digit an underscore', () => {
  for (const [agent, variable] of [
    ['researcher', 'AIT_PEER_RESEARCHER'],
    ['web-search.v2', 'AIT_PEER_WEB_SEARCH_V2'],
    ['team/web_search', 'AIT_PEER_TEAM_WEB_SEARCH'],
    ['spiffe://a.example/agent/team/x', 'AIT_PEER_TEAM_X'],
  ] as const) {
    assert.equal(peerVariable(agent), variable);
  }
});

test('variables of mesh processes are not handed on, everything else is', () => {
  const inherited = {
    PATH: '/bin',
    AIT_SIDECAR_AUTHORITY__JOIN_CREDENTIAL: '/secret',
    AIT_PEER_OLD: 'unix:/old',
    GONE: undefined,
  };
  assert.deepEqual(agentEnvironment({ ...nothing, inherited }), {
    PATH: '/bin',
    AIT_PEERS: 'team/web-search',
    AIT_PEER_TEAM_WEB_SEARCH: 'unix:/s/w',
  });
});

test('the port for all peers is told where there is one, and can be made a proxy', () => {
  const at = { ...addresses, outbound: '127.0.0.1:17001' };
  const env = agentEnvironment({ ...nothing, addresses: at, own: { grpc_proxy: 'http://${outbound}' } });
  assert.deepEqual([env['AIT_OUTBOUND'], env['grpc_proxy']], ['127.0.0.1:17001', 'http://127.0.0.1:17001']);
  assert.equal(agentEnvironment(nothing)['AIT_OUTBOUND'], undefined);
});

test('where the agent has to listen: a port also as HOST and PORT, a socket not', () => {
  const of = (listen: string) => {
    const { LISTEN, HOST, PORT } = agentEnvironment({ ...nothing, listen });
    return [LISTEN, HOST, PORT];
  };
  assert.deepEqual(of('127.0.0.1:8080'), ['127.0.0.1:8080', '127.0.0.1', '8080']);
  assert.deepEqual(of('[::1]:8080'), ['[::1]:8080', '::1', '8080']);
  assert.deepEqual(of('unix:/s/agent.sock'), ['unix:/s/agent.sock', undefined, undefined]);
});

test('the inference port takes the place of any provider, and a key that opens nothing that of any key', () => {
  const model = (inherited: Record<string, string>, inference: string | undefined) => {
    const at = inference === undefined ? addresses : { ...addresses, inference };
    const { OPENAI_BASE_URL, OPENAI_API_KEY } = agentEnvironment({ ...nothing, inherited, addresses: at });
    return [OPENAI_BASE_URL, OPENAI_API_KEY];
  };
  const own = { OPENAI_BASE_URL: 'https://api.example/v1', OPENAI_API_KEY: 'sk-own' };
  assert.deepEqual(model({}, undefined), [undefined, undefined]);
  const noKey = 'not-a-key--the-sidecar-has-it';
  for (const inherited of [{}, { OPENAI_API_KEY: '' }, own]) {
    assert.deepEqual(model(inherited, '127.0.0.1:17010'), ['http://127.0.0.1:17010/v1', noKey]);
  }
  // No client of this API can call a unix socket by its URL; but neither is it to call somebody else with a key.
  assert.deepEqual(model(own, 'unix:/s/inference.sock'), [own.OPENAI_BASE_URL, noKey]);
});

test('env goes over everything, with addresses filled in', () => {
  const own = { PATH: '/own', SEARCH: '${peer.team/web-search.path}', AT: 'http://${listen}/' };
  const env = agentEnvironment({ ...nothing, inherited: { PATH: '/bin' }, listen: '127.0.0.1:1', own });
  assert.deepEqual([env['PATH'], env['SEARCH'], env['AT']], ['/own', '/s/w', 'http://127.0.0.1:1/']);
});

test('only addresses are filled in; one that there is not is an error, never an empty text', () => {
  const known = { listen: undefined, peers: new Map([['a', 'unix:/a']]) };
  assert.equal(
    expand('${peer.a} ${HOME} ${peers.a} $peer.a ${listening}', known),
    'unix:/a ${HOME} ${peers.a} $peer.a ${listening}',
  );
  for (const text of ['${listen}', '${listen.path}', '${outbound}', '${peer.b}', '${peer}', '${peer.}']) {
    assert.throws(() => expand(text, known), RangeError, text);
  }
});
