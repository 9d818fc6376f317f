import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CallMesh } from '../support/call-mesh.ts';
import { GRPC_CALL, type RawFields } from '../support/raw-http2.ts';

const timeout = (value: string): RawFields => [...GRPC_CALL, ['grpc-timeout', value]];

test('a deadline that is none is refused, one that is too long is lowered, and one that passes cuts the call', async (t) => {
  const world = await CallMesh.start(t, { planner: { calls: { max_deadline: '2s' } } });
  const { planner, server, taken } = world;
  const connection = world.connect();
  let stream = -1;
  const next = () => (stream += 2);
  const arrived = () => taken.at(-1)?.headers['grpc-timeout'];

  await t.test('absurd deadlines: INVALID_ARGUMENT, and nothing arrives', async () => {
    for (const value of [
      '-1S',
      '99999999999H',
      '1',
      'S',
      '',
      '1s',
      '1.5S',
      '0x1S',
      '1S ',
      '+1S',
      '１S',
      '1S,2S',
      'NaN',
    ]) {
      const isField = !value.endsWith(' ');
      const { head, resetCode } = await connection.call(next(), timeout(Buffer.from(value).toString('latin1')));
      if (isField)
        assert.deepEqual([head['grpc-status'], head['x-ait-refused']], ['3', 'CALL_DEADLINE_INVALID'], value);
      else assert.equal(resetCode, 1, 'a blank at its end is no field value');
    }
    const twice: RawFields = [...timeout('1S'), ['grpc-timeout', '2S']];
    assert.equal((await connection.call(next(), twice)).resetCode, 1, 'two of them are malformed');
    assert.equal(taken.length, 0);
  });

  await t.test(
    'deadlines up to the ceiling go on as they are, longer ones as the ceiling, none as the ceiling',
    async () => {
      for (const [value, expected] of [
        ['1S', '1S'],
        ['2000m', '2000m'],
        ['1999999u', '1999999u'],
        ['2001m', '2000m'],
        ['99999999H', '2000m'],
        ['3S', '2000m'],
      ] as const) {
        assert.equal((await connection.call(next(), timeout(value))).trailers['grpc-status'], '0');
        assert.equal(arrived(), expected, value);
      }
      assert.equal((await connection.call(next(), GRPC_CALL)).trailers['grpc-status'], '0');
      assert.equal(arrived(), '2000m');
      const { length } = taken;
      await connection.call(
        next(),
        GRPC_CALL.filter(([name]) => name !== 'content-type'),
      );
      assert.equal(taken.length, length + 1);
      assert.equal(arrived(), undefined, 'deadlines are of gRPC');
    },
  );

  await t.test('a call that nobody ends is cut when the ceiling has passed', async () => {
    let reset: number | undefined;
    const over = new Promise<void>((resolve) => {
      server.onStream = ({ stream: open }) => {
        open.once('close', () => {
          reset = open.rstCode;
          resolve();
        });
      };
    });
    const { head } = await connection.call(next(), timeout('2S'));
    assert.deepEqual([head['grpc-status'], head['x-ait-refused']], ['4', 'CALL_DEADLINE_EXCEEDED']);
    await over;
    assert.equal(reset, 8, 'the callee is told that nobody waits');
    const cut = await planner.waitFor('call_cut', ({ code }) => code === 'CALL_DEADLINE_EXCEEDED');
    assert.equal(cut['correlationId'], head['x-ait-correlation-id']);
  });
  connection.socket.destroy();
});
