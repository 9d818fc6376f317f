import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Attacker } from '../support/attacker.ts';
import { CallMesh } from '../support/call-mesh.ts';
import { openPeerConnection } from '../support/hostile-http2.ts';
import { frame } from '../support/http2-bytes.ts';
import { FLAG, FRAME_TYPE } from '../../src/dataplane/http2/protocol.ts';
import { fieldsBlock, get, GRPC_CALL, type RawFields, type RawHttp2 } from '../support/raw-http2.ts';

/** Names that an agent, or its framework, could take for the word of its sidecar. */
const SPOOFED = [
  'x-ait-peer-agent',
  'x-ait-peer-spiffe-id',
  'x-ait-peer-instance',
  'x-ait-peer-baseline',
  'x_ait_peer_agent',
  'x-ait_peer-agent',
  'x_ait-peer_spiffe_id',
  'x.ait.peer.agent',
  'x-ait-peer.agent',
  'x~ait~peer~agent',
  'x-ait-peer-agent-bin',
  'x-ait-peer-agent-bin-bin',
  'x_ait_peer_agent_bin',
  'x-ait-anything-at-all',
  'x-ait-refused',
  'x-ait-correlation-id',
  'x-forwarded-client-cert',
  'x_forwarded_client_cert',
  'x-spiffe-id',
  'x-forwarded-user',
] as const;

const LIES: RawFields = SPOOFED.flatMap((name) => [
  [name, 'bWFsbG9yeQ=='],
  [name, 'spiffe://acme.example/agent/mallory'],
]);

/** Names and values in turns, of those fields that a callee could take for identity. */
function identityIn(raw: readonly string[]): string[] {
  const found: string[] = [];
  for (let at = 0; at < raw.length; at += 2) {
    const [name = '', value = ''] = [raw[at], raw[at + 1]];
    if (/ait|spiffe|forwarded/.test(name) || /mallory|bWFsbG9yeQ/.test(value)) found.push(`${name}: ${value}`);
  }
  return found;
}

test('trust rule 24: an agent is told by its sidecar alone who calls, whatever the caller says, and where', async (t) => {
  const world = await CallMesh.start(t);
  const { planner, researcher, taken, trailers } = world;
  const { instance } = await planner.status();
  const verified = [
    'x-ait-peer-spiffe-id: spiffe://acme.example/agent/planner',
    'x-ait-peer-agent: planner',
    `x-ait-peer-instance: ${instance}`,
    'x-ait-peer-baseline: planner-1',
  ];

  /** What came of one call with lies in its headers and its trailers. */
  const lyingCall = async (connection: RawHttp2) => {
    const before = trailers.length;
    connection.headers(1, [...GRPC_CALL, ...LIES, ['x-mine', 'kept']]);
    connection.data(1, Buffer.from([0, 0, 0, 0, 0]));
    const block = fieldsBlock([...LIES, ['x-own-trailer', 'kept']]);
    connection.send(frame(FRAME_TYPE.headers, { flags: FLAG.endHeaders | FLAG.endStream, stream: 1, payload: block }));
    assert.equal((await connection.answer(1)).trailers['grpc-status'], '0');
    connection.socket.destroy();
    const request = taken.at(-1)?.rawHeaders ?? [];
    assert.equal(trailers.length, before + 1, 'trailers came');
    return { request, last: trailers.at(-1) ?? [] };
  };

  await t.test("from the caller's agent: in every spelling, twice, in headers and trailers", async () => {
    const { request, last } = await lyingCall(world.connect());
    assert.deepEqual(identityIn(request), verified);
    assert.ok(request.includes('x-mine'));
    assert.deepEqual(last, ['x-own-trailer', 'kept']);
  });

  await t.test("from the caller's sidecar, which is an attacker's: its own name still is what was proved", async () => {
    const attacker = await Attacker.of(t, world.mesh);
    const identity = attacker.member('planner', planner.measurement);
    const exchange = await attacker.admitted(researcher.inbound, identity);
    const hostile = (await openPeerConnection(attacker, researcher, exchange)).begin();
    const { request, last } = await lyingCall(hostile);
    assert.deepEqual(
      identityIn(request),
      verified.map((line) => line.replace(instance, identity.instanceId)),
    );
    assert.deepEqual(last, ['x-own-trailer', 'kept']);
    exchange.destroy();
  });

  await t.test('names in upper case are no HTTP/2, and do not arrive at all', async () => {
    const { length } = taken;
    const connection = world.connect();
    assert.equal((await connection.call(1, get('/', ['X-Ait-Peer-Agent', 'mallory']))).resetCode, 1);
    assert.equal((await connection.call(3, get('/', ['x-ait-peer-agent ', 'mallory']))).resetCode, 1);
    assert.equal((await connection.call(5, get('/', ['x-a', 'b\r\nx-ait-peer-agent: mallory']))).resetCode, 1);
    assert.equal(taken.length, length);
    connection.socket.destroy();
  });

  await t.test(
    'an app that answers in the name of a sidecar: removed from heads, information and trailers',
    async () => {
      const answerAtOnce = world.server.onStream;
      const lies = Object.fromEntries(LIES);
      world.server.onStream = ({ stream }) => {
        stream.additionalHeaders({ ':status': 103, link: '</style.css>', ...lies });
        stream.respond({ ':status': 200, 'content-type': 'application/grpc', ...lies }, { waitForTrailers: true });
        stream.once('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '7', 'x-mine': 'kept', ...lies }));
        stream.end('x');
      };
      const connection = world.connect();
      const answer = await connection.call(1, GRPC_CALL);
      assert.deepEqual([answer.trailers['grpc-status'], answer.trailers['x-mine']], ['7', 'kept']);
      const all = connection.blocks(1);
      assert.equal(all.length, 3);
      for (const block of all) assert.deepEqual(identityIn(Object.entries(block).flat()), []);
      // A refusal that an app pretends to be its sidecar's, without a body, where ours would be.
      world.server.onStream = ({ stream }) => stream.respond({ ':status': 403, ...lies }, { endStream: true });
      const refused = await connection.call(3, get('/'));
      assert.deepEqual(identityIn(Object.entries(refused.head).flat()), []);
      assert.equal(await planner.metric('ait_calls_total', { source: 'peer' }), 0, 'nobody takes it for the sidecar');
      world.server.onStream = answerAtOnce;
      connection.socket.destroy();
    },
  );
});
