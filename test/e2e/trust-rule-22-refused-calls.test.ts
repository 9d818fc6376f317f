import assert from 'node:assert/strict';
import { test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { reasonOf } from '../../src/wire/error-status.ts';
import { FRAME_TYPE } from '../../src/dataplane/http2/protocol.ts';
import { Attacker } from '../support/attacker.ts';
import { CallMesh } from '../support/call-mesh.ts';
import { openPeerConnection } from '../support/hostile-http2.ts';
import { get, GRPC_CALL, type RawFields } from '../support/raw-http2.ts';
import { runAit } from '../support/run-ait.ts';
import { ScriptedCaller } from '../support/scripted-grpc.ts';

const DEADLINE = { deadlineMs: 30_000 };
const ADMIN_CALL: RawFields = GRPC_CALL.map(([name, value]) =>
  name === ':path' ? [name, '/interop.Admin/Drop'] : [name, value],
);

test('trust rule 22: of a call outside the grant the callee never hears; the caller is told, and the next call goes on', async (t) => {
  const world = await CallMesh.start(t, { calls: ['POST /interop.Test/*', 'GET /docs/*'] });
  const { mesh, planner, researcher, taken } = world;
  const told: string[] = [];

  await t.test('gRPC, to an ordinary client: PERMISSION_DENIED with ErrorInfo', async () => {
    const caller = new ScriptedCaller(t, planner.socketTo('researcher'));
    const bytes = (buffer: Buffer) => buffer;
    const error = await new Promise<Parameters<typeof reasonOf>[0] & { code?: number }>((resolve, reject) => {
      const path = '/interop.Admin/Drop';
      caller.client.makeUnaryRequest(path, bytes, bytes, Buffer.from('all'), (refusal) => {
        if (refusal === null) reject(new Error('the call was permitted'));
        else resolve(refusal);
      });
    });
    assert.equal(error.code, status.PERMISSION_DENIED);
    assert.equal(reasonOf(error), 'CALL_NOT_GRANTED');
    const [id] = error.metadata?.get('x-ait-correlation-id') ?? [];
    told.push(String(id));
    const packed = error.metadata?.get('grpc-status-details-bin')[0];
    assert.ok(Buffer.isBuffer(packed));
    for (const part of ['google.rpc.ErrorInfo', 'ait-mesh', 'CALL_NOT_GRANTED', 'correlation_id', String(id)]) {
      assert.ok(packed.includes(part), `${part} is in the details`);
    }
  });

  const connection = world.connect();
  await t.test('gRPC, on the wire: trailers only, then RST_STREAM(NO_ERROR) where the request goes on', async () => {
    connection.headers(1, ADMIN_CALL);
    const { head, resetCode } = await connection.answer(1);
    assert.deepEqual(
      [head[':status'], head['content-type'], head['grpc-status'], head['x-ait-refused'], resetCode],
      ['200', 'application/grpc', '7', 'CALL_NOT_GRANTED', undefined],
    );
    const reset = await connection.hear(({ type, stream }) => type === FRAME_TYPE.rstStream && stream === 1, 'reset');
    assert.equal(reset.payload.readUInt32BE(0), 0);
    told.push(head['x-ait-correlation-id'] ?? '');
  });

  await t.test('what still comes of it is swallowed, and its room given back: 40 times the window', async () => {
    for (let at = 0; at < 160; at += 1) {
      connection.data(1, Buffer.alloc(16_384));
      const stream = 3 + 2 * at;
      assert.equal((await connection.call(stream, GRPC_CALL)).trailers['grpc-status'], '0', `call ${at} goes on`);
    }
    const updates = connection.heard.filter(({ type, stream }) => type === FRAME_TYPE.windowUpdate && stream === 0);
    const given = updates.reduce((sum, { payload }) => sum + payload.readUInt32BE(0), 0);
    assert.ok(given >= 160 * 16_384, `${given} bytes of the window of the connection came back`);
  });

  await t.test('plain HTTP/2: 403 and headers, without a body', async () => {
    const { head, bytes } = await connection.call(501, get('/admin'));
    assert.deepEqual(
      [head[':status'], head['content-length'], head['x-ait-refused'], head['grpc-status'], bytes],
      ['403', '0', 'CALL_NOT_GRANTED', undefined, 0],
    );
    told.push(head['x-ait-correlation-id'] ?? '');
    assert.equal((await connection.call(503, get('/docs/a'))).head[':status'], '200');
  });
  connection.socket.destroy();

  await t.test('the callee has heard of none of them', () => {
    const paths = new Set(taken.map(({ headers }) => headers[':path']));
    assert.deepEqual([...paths], ['/interop.Test/Unary', '/docs/a']);
  });

  await t.test('`ait explain --id` finds each by what the caller was told', async () => {
    assert.equal(new Set(told).size, 3);
    for (const id of told) {
      const { code, output } = await runAit(['explain', '--id', id, '--admin', planner.addresses.admin], DEADLINE);
      assert.equal(code, 0, output);
      assert.match(output, /CALL_NOT_GRANTED/);
      assert.match(output, /\/interop\.Admin\/Drop|\/admin/);
    }
  });

  await t.test("the callee's sidecar refuses by itself what the caller's lets through, and says little", async () => {
    const attacker = await Attacker.of(t, mesh);
    const exchange = await attacker.admitted(researcher.inbound, attacker.member('planner', planner.measurement));
    const hostile = (await openPeerConnection(attacker, researcher, exchange)).begin();
    const { length } = taken;
    const { head } = await hostile.call(1, ADMIN_CALL);
    assert.deepEqual([head['grpc-status'], head['x-ait-refused']], ['7', 'NOT_PERMITTED']);
    assert.doesNotMatch(JSON.stringify(head), /CALL_NOT_GRANTED|grants\//, 'a peer learns the coarse reason');
    assert.equal((await hostile.call(3, GRPC_CALL)).trailers['grpc-status'], '0');
    assert.equal(taken.length, length + 1);
    const refused = await researcher.waitFor('call_refused');
    assert.deepEqual([refused['code'], refused['correlationId']], ['CALL_NOT_GRANTED', head['x-ait-correlation-id']]);
    exchange.destroy();
  });
});
