import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect } from 'node:net';
import { CallMesh } from '../support/call-mesh.ts';
import { ScriptedHttp2Server } from '../support/http2-exchange.ts';
import { startMesh } from '../support/mesh.ts';
import { get, RawHttp2, type RawFields } from '../support/raw-http2.ts';

const MINE = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00';
const STATE = 'congo=t61rcWkgMzE';
const VALID = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-01$/;

test('a trace goes on as its caller began it, or begins here, and is one over two hops', async (t) => {
  const world = await CallMesh.start(t, { planner: { access_log: true } });
  const { taken } = world;
  const connection = world.connect();
  let stream = -1;
  const seen = async (...more: RawFields) => {
    await connection.call((stream += 2), get('/traced', ...more));
    const { headers, rawHeaders } = taken.at(-1)!;
    const times = rawHeaders.filter((name) => name === 'traceparent').length;
    return { traceparent: headers['traceparent'], tracestate: headers['tracestate'], times };
  };

  await t.test('passed on as it is, with its state, marked or not', async () => {
    assert.deepEqual(await seen(['traceparent', MINE], ['tracestate', STATE]), {
      traceparent: MINE,
      tracestate: STATE,
      times: 1,
    });
    const later = `cc${MINE.slice(2)}-what-comes-later`;
    assert.equal((await seen(['traceparent', later])).traceparent, later);
  });

  await t.test('begun where there is none; each call another', async () => {
    const [first, second] = [await seen(), await seen()];
    assert.match(String(first.traceparent), VALID);
    assert.match(String(second.traceparent), VALID);
    assert.notEqual(first.traceparent, second.traceparent);
  });

  await t.test('begun anew where it is not valid; the state of the other trace goes', async () => {
    for (const invalid of [
      '',
      'nonsense',
      MINE.toUpperCase(),
      `ff${MINE.slice(2)}`,
      `${MINE}-more`,
      MINE.replace('0af7651916cd43dd8448eb211c80319c', '0'.repeat(32)),
      MINE.replace('b7ad6b7169203331', '0'.repeat(16)),
    ]) {
      const got = await seen(['traceparent', invalid], ['tracestate', STATE]);
      assert.match(String(got.traceparent), VALID, invalid);
      assert.deepEqual([got.tracestate, got.times], [undefined, 1]);
    }
    const twice = await seen(['traceparent', MINE], ['traceparent', MINE]);
    assert.match(String(twice.traceparent), VALID);
    assert.equal(twice.times, 1);
  });
  connection.socket.destroy();

  await t.test('the access log names it', async () => {
    const { traceparent } = taken.at(-1)!.headers;
    await world.planner.waitFor('call', (line) => line['traceparent'] === traceparent);
  });
});

test('over two hops it is one trace, where the agent in the middle passes it on as agents do', async (t) => {
  const last = await ScriptedHttp2Server.start(t);
  const middle = await ScriptedHttp2Server.start(t);
  const mesh = await startMesh(t, {
    agents: {
      planner: { calls: ['researcher'] },
      researcher: { calls: ['writer'], app: false, config: { app: { address: middle.address } } },
      writer: { app: false, config: { app: { address: last.address } } },
    },
  });
  const heard: unknown[] = [];
  const callers: unknown[] = [];
  middle.onStream = ({ stream, headers }) => {
    heard.push(headers['traceparent']);
    callers.push(headers['x-ait-peer-agent']);
    const path = mesh.agent('researcher').socketTo('writer');
    const onward = new RawHttp2(connect({ path })).begin();
    // Everything it was told, as careless proxies do: who called it, too.
    const copied = Object.entries(headers).filter(([name]) => !name.startsWith(':'));
    const fields = copied.map(([name, value]) => [name, String(value)] as const);
    void onward.call(1, get('/second', ...fields)).then(({ head }) => {
      onward.socket.destroy();
      stream.respond({ ':status': Number(head[':status']) }, { endStream: true });
    });
  };
  last.onStream = ({ stream, headers }) => {
    heard.push(headers['traceparent']);
    callers.push(headers['x-ait-peer-agent']);
    stream.respond({ ':status': 200 }, { endStream: true });
  };
  const caller = new RawHttp2(connect({ path: mesh.agent('planner').socketTo('researcher') })).begin();
  assert.equal((await caller.call(1, get('/first'))).head[':status'], '200');
  assert.equal(heard.length, 2);
  assert.match(String(heard[0]), VALID);
  assert.equal(heard[0], heard[1]);
  assert.deepEqual(callers, ['planner', 'researcher'], 'each is told of the one who calls it');
  caller.socket.destroy();
});
