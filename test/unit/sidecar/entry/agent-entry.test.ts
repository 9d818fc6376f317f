import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test, type TestContext } from 'node:test';
import { parseSpiffeId } from '../../../../src/domain/agent-id.ts';
import { systemRandom } from '../../../../src/platform/random.ts';
import { AgentEntry } from '../../../../src/sidecar/entry/agent-entry.ts';
import { RESEARCHER, callWorld } from '../../../support/call-world.ts';
import { readToEnd, tcpPair } from '../../../support/tcp-pair.ts';

const WRITER = parseSpiffeId('spiffe://acme.example/agent/writer');
const HELLO = Buffer.of(22, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3);
const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';

async function world(t: TestContext) {
  const { decisions, settings, reported } = callWorld();
  const entry = new AgentEntry({ random: systemRandom, decisions, settings });
  const [{ near: agent, far }, { near: server }] = [await tcpPair(t), await tcpPair(t)];
  const meet = (isTunnel = false) => entry.meet({ agent, server, peer: RESEARCHER, at: 'unix:/x.sock', isTunnel });
  const target = () => entry.target({ agent, peers: [RESEARCHER, WRITER], at: '127.0.0.1:17001' });
  return { entry, agent, far, meet, target, reported };
}

const connectTo = (authority: string, host = authority) => `CONNECT ${authority} HTTP/1.1\r\nHost: ${host}\r\n\r\n`;

test('on the port of a peer a CONNECT to that very peer is answered, and then the tunnel is the connection', async (t) => {
  const { far, meet, reported } = await world(t);
  far.write(connectTo('researcher.mesh:443') + PREFACE);
  assert.equal(await meet(), 'http2');
  const [said] = (await once(far, 'data')) as [Buffer];
  assert.equal(said.toString(), 'HTTP/1.1 200 Connection established\r\n\r\n');
  assert.deepEqual(reported, []);
});

test('a client that waits for its answer before it says more', async (t) => {
  const { far, meet } = await world(t);
  far.write(connectTo('researcher:1234'));
  const met = meet();
  await once(far, 'data');
  far.write('raw bytes');
  assert.equal(await met, 'other');
});

for (const [what, words, code, status, known] of [
  ['another peer', connectTo('writer.mesh:443'), 'PROXY_TARGET_UNKNOWN', 404, ['researcher.mesh']],
  ['the world', connectTo('api.example:443'), 'PROXY_TARGET_UNKNOWN', 404, ['researcher.mesh']],
  ['an address', connectTo('[::1]:17102'), 'PROXY_TARGET_UNKNOWN', 404, ['researcher.mesh']],
  ['this peer, under another Host', connectTo('researcher.mesh:443', 'writer.mesh'), 'HTTP1_MALFORMED', 400, undefined],
  ['a malformed CONNECT', 'CONNECT researcher.mesh HTTP/1.1\r\n\r\n', 'HTTP1_MALFORMED', 400, undefined],
  [
    'a CONNECT in a tunnel',
    connectTo('researcher.mesh:1') + connectTo('researcher.mesh:1'),
    'HTTP1_MALFORMED',
    400,
    undefined,
  ],
  ['TLS', HELLO.toString('latin1'), 'TLS_FROM_AGENT', 400, undefined],
  ['TLS in a tunnel', connectTo('researcher.mesh:443') + HELLO.toString('latin1'), 'TLS_FROM_AGENT', 400, undefined],
] as const) {
  test(`${what}: refused in words that the agent can read, and on record under the same id`, async (t) => {
    const { far, meet, reported } = await world(t);
    far.write(Buffer.from(words, 'latin1'));
    assert.equal(await meet(), 'refused');
    const said = await readToEnd(far);
    const answer = said.slice([...said.matchAll(/HTTP\/1\.1 \d{3} /g)].at(-1)?.index);
    assert.ok(answer.startsWith(`HTTP/1.1 ${status} `), said);
    const problem = JSON.parse(answer.slice(answer.indexOf('\r\n\r\n'))) as Record<string, unknown>;
    const [decision, ...more] = reported;
    assert.equal(decision?.rejection?.code, code);
    assert.deepEqual(more, []);
    assert.deepEqual([problem['code'], problem['known_names']], [code, known]);
    assert.equal(decision?.correlationId, problem['correlation_id']);
    assert.match(decision?.correlationId ?? '', /^[\w-]{12}$/);
    assert.deepEqual([decision?.direction, decision?.remoteAddress], ['outbound', 'unix:/x.sock']);
    far.end();
    await once(far, 'close');
  });
}

test('on the common port a CONNECT may lead to each of the peers, and is not answered before its peer is there', async (t) => {
  const { agent, far, target } = await world(t);
  far.write(connectTo('writer.mesh:443') + PREFACE);
  assert.equal(await target(), WRITER);
  assert.equal(agent.bytesWritten, 0);
});

test('there, too, all other names are refused with the list of those that are known', async (t) => {
  const { far, target, reported } = await world(t);
  far.write(connectTo('nobody.mesh:443'));
  assert.equal(await target(), undefined);
  assert.match(await readToEnd(far), /x-ait-known-names: researcher\.mesh, writer\.mesh\r\n/);
  assert.deepEqual(reported[0]?.rejection?.known, ['researcher.mesh', 'writer.mesh']);
});

test('an agent that does not read its refusal, nor leaves, is let go of', async (t) => {
  const { agent, far, meet } = await world(t);
  far.write(HELLO);
  const since = performance.now();
  assert.equal(await meet(), 'refused');
  await once(agent, 'close');
  assert.ok(performance.now() - since < 5000);
});

test('an agent that leaves in the middle of its CONNECT is no news', async (t) => {
  const { far, meet, reported } = await world(t);
  far.end('CONNECT researcher.mesh:443 HTTP/1.1\r\n');
  assert.equal(await meet(), 'refused');
  assert.deepEqual(reported, []);
});
