import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test, type TestContext } from 'node:test';
import { Client, credentials, status, type ServiceError } from '@grpc/grpc-js';
import { reasonOf } from '../../src/wire/error-status.ts';
import { ScriptedHttp2Server, type TakenStream } from '../support/http2-exchange.ts';
import { startMesh, type TestMesh } from '../support/mesh.ts';
import { GRPC_CALL, RawHttp2, type RawFields } from '../support/raw-http2.ts';
import type { TestAgent } from '../support/test-agent.ts';

/** A GET with this `:authority`. */
const to = (authority: string, path = '/'): RawFields => [
  [':method', 'GET'],
  [':scheme', 'http'],
  [':path', path],
  [':authority', authority],
];
const grpcTo = (authority: string): RawFields =>
  GRPC_CALL.map(([name, value]) => (name === ':authority' ? [name, authority] : [name, value]));

interface World {
  readonly mesh: TestMesh;
  readonly planner: TestAgent;
  readonly address: string;
  readonly taken: Record<'researcher' | 'writer', TakenStream[]>;
  readonly connect: () => RawHttp2;
}

/** `planner` calls `researcher` and `writer` at one port; `writer` has no listener of its own, `stranger` is not granted. */
async function startWorld(t: TestContext): Promise<World> {
  const taken: World['taken'] = { researcher: [], writer: [] };
  const serve = async (name: keyof World['taken']) => {
    const server = await ScriptedHttp2Server.start(t);
    server.onStream = (each) => {
      taken[name].push(each);
      each.stream.respond({ ':status': 200, 'x-answered-by': name }, { endStream: true });
    };
    return server.address;
  };
  const [researcher, writer] = [await serve('researcher'), await serve('writer')];
  const mesh = await startMesh(t, {
    agents: {
      planner: {
        calls: ['researcher', 'writer', 'absent'],
        config: { outbound: { listen: '127.0.0.1:0' } },
        peers: { writer: { listen: undefined } },
      },
      researcher: { app: false, config: { app: { address: researcher } } },
      writer: { app: false, config: { app: { address: writer } } },
      absent: { app: false, start: false },
    },
  });
  const planner = mesh.agent('planner');
  const { outbound: address } = planner.addresses as unknown as { outbound: string };
  const [host, port] = address.split(':');
  return {
    mesh,
    planner,
    address,
    taken,
    connect: () => new RawHttp2(connect({ host: host ?? '', port: Number(port) })).begin(),
  };
}

test('on one port the authority of the first call says whom the connection is for', async (t) => {
  const world = await startWorld(t);
  const { planner, address, taken } = world;
  const answeredBy = async (authority: string) => {
    const connection = world.connect();
    const { head } = await connection.call(1, to(authority));
    connection.socket.destroy();
    return head['x-answered-by'] ?? head['x-ait-refused'];
  };

  for (const [authority, peer] of [
    ['researcher.mesh', 'researcher'],
    ['researcher', 'researcher'],
    ['researcher.mesh:80', 'researcher'],
    ['researcher:17001', 'researcher'],
    ['RESEARCHER.Mesh', 'researcher'],
    ['researcher.mesh.', 'researcher'],
    ['writer.mesh', 'writer'],
    ['Writer', 'writer'],
  ] as const) {
    await t.test(`${authority} is ${peer}`, async () => assert.equal(await answeredBy(authority), peer));
  }

  for (const authority of [
    'nobody.mesh',
    'researcher.mesh.evil.example',
    'evil.researcher.mesh',
    'researcher.other',
    'researcher_',
    'researcher.mesh:',
    'researcher.mesh:123456',
    'researcher%2emesh',
    '127.0.0.1',
    'planner.mesh',
    '',
  ]) {
    await t.test(`${JSON.stringify(authority)} is nobody: 421`, async () => {
      const before = taken.researcher.length + taken.writer.length;
      const connection = world.connect();
      const { head } = await connection.call(1, to(authority));
      assert.deepEqual([head[':status'], head['x-ait-refused']], ['421', 'AUTHORITY_MISDIRECTED']);
      assert.equal(head['x-ait-known-names'], 'absent.mesh, researcher.mesh, writer.mesh');
      // A name that was wrong does not spoil the connection.
      assert.equal((await connection.call(3, to('writer.mesh'))).head['x-answered-by'], 'writer');
      assert.equal(taken.researcher.length + taken.writer.length, before + 1);
      connection.socket.destroy();
    });
  }

  await t.test(
    'another authority on the same connection: 421, gRPC or not, and the callee never hears of it',
    async () => {
      const connection = world.connect();
      assert.equal((await connection.call(1, to('researcher.mesh'))).head['x-answered-by'], 'researcher');
      const before = taken.writer.length;
      const plain = await connection.call(3, to('writer.mesh'));
      assert.deepEqual([plain.head[':status'], plain.head['x-ait-refused']], ['421', 'AUTHORITY_MISDIRECTED']);
      assert.equal(plain.head['x-ait-known-names'], 'researcher.mesh', 'what this connection leads to');
      const grpc = await connection.call(5, grpcTo('writer.mesh'));
      assert.deepEqual([grpc.head['grpc-status'], grpc.head['x-ait-refused']], ['5', 'AUTHORITY_MISDIRECTED']);
      const byHost = to('researcher.mesh');
      const { resetCode } = await connection.call(7, [...byHost, ['host', 'writer.mesh']]);
      assert.equal(resetCode, 1, 'host and :authority must agree');
      const onlyHost = byHost.filter(([name]) => name !== ':authority');
      assert.equal((await connection.call(9, [...onlyHost, ['host', 'writer.mesh']])).head[':status'], '421');
      assert.equal((await connection.call(11, to('researcher'))).head['x-answered-by'], 'researcher', 'it goes on');
      assert.equal(taken.writer.length, before);
      connection.socket.destroy();
    },
  );

  await t.test(
    'a peer that cannot be reached: UNAVAILABLE with the reason and an id on record, not a hang',
    async () => {
      const connection = world.connect();
      const { head } = await connection.call(1, grpcTo('absent.mesh'));
      assert.deepEqual([head['grpc-status'], head['x-ait-refused']], ['14', 'PEER_ADDRESS_UNKNOWN']);
      await connection.closed;
      const plain = world.connect();
      const answer = await plain.call(1, to('absent.mesh'));
      assert.equal(answer.head[':status'], '503');
      await plain.closed;
      await planner.waitForVerdict({ code: 'PEER_ADDRESS_UNKNOWN' });
      assert.equal(
        await planner.metric('ait_calls_total', { peer: 'absent', code: 'UNAVAILABLE', source: 'sidecar' }),
        1,
      );
    },
  );

  await t.test('what is no HTTP is refused there, in words: nobody could say whom it is for', async () => {
    const [host, port] = address.split(':');
    const socket = connect({ host: host ?? '', port: Number(port) });
    socket.write('raw bytes\r\n');
    const answer = await new Promise<string>((resolve) => {
      let said = '';
      socket.on('data', (chunk) => (said += String(chunk)));
      socket.once('close', () => resolve(said));
      socket.once('error', () => undefined);
    });
    assert.match(answer, /^HTTP\/1\.1 403 [^]*OPAQUE_NOT_GRANTED/);
    await planner.waitForVerdict({ code: 'OPAQUE_NOT_GRANTED' });
  });

  await t.test('grpc-js, with grpc.default_authority', async () => {
    const bytes = (buffer: Buffer) => buffer;
    const call = (authority: string) =>
      new Promise<ServiceError | null>((resolve) => {
        const options = { 'grpc.default_authority': authority, 'grpc.use_local_subchannel_pool': 1 };
        const client = new Client(address, credentials.createInsecure(), options);
        client.makeUnaryRequest('/interop.Test/Unary', bytes, bytes, Buffer.from('x'), (error) => {
          client.close();
          resolve(error);
        });
      });
    const before = taken.writer.length;
    await call('writer.mesh');
    assert.equal(taken.writer.length, before + 1);
    assert.equal(taken.writer.at(-1)?.headers[':authority'], 'writer.mesh');
    const refused = await call('nobody.mesh');
    assert.deepEqual([refused?.code, reasonOf(refused ?? {})], [status.NOT_FOUND, 'AUTHORITY_MISDIRECTED']);
    assert.match(refused?.details ?? '', /names known here: absent\.mesh, researcher\.mesh, writer\.mesh$/);
  });
});
