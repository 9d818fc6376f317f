import assert from 'node:assert/strict';
import { test } from 'node:test';
import { changeGrant } from '../support/call-mesh.ts';
import { Attacker } from '../support/attacker.ts';
import { dataOf, openData } from '../support/hostile-data.ts';
import { startMesh } from '../support/mesh.ts';
import { pollUntil } from '../support/poll-until.ts';

const CALLS = ['POST /test.Test/*'];

test('a connection whose calls cannot be seen passes under a grant for everything, and under no other', async (t) => {
  const mesh = await startMesh(t, { agents: { planner: { calls: ['researcher'] }, researcher: {} } });
  const [planner, researcher] = [mesh.agent('planner'), mesh.agent('researcher')];
  const { app } = researcher;
  const grant = (calls?: readonly string[]) => changeGrant(mesh, calls, [planner, researcher]);
  assert.equal(await planner.call('researcher', 'raw bytes'), 'raw bytes');

  await t.test('a word that could begin a request and does not go on is none, and is answered', async () => {
    assert.equal(await planner.call('researcher', 'word'), 'word');
  });

  for (const [beginning, rest] of [
    ['GE', 'T / HTTP/1.1\r\nHost: researcher\r\nx-ait-peer-agent: boss\r\n\r\n'],
    ['frob /', ' HTTP/1.1\r\nHost: researcher\r\nx-ait-peer-agent: boss\r\n\r\n'],
    ['PR', 'I * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ] as const) {
    await t.test(`${beginning}, a pause, and then a request after all: it does not pass undecided`, async () => {
      const from = planner.sidecar.mark();
      const slow = planner.connect('researcher');
      slow.socket.write(beginning);
      await slow.read(beginning.length);
      const received = app.received.length;
      slow.socket.write(rest);
      await slow.closed;
      await planner.waitForVerdict({ code: 'PREFACE_TIMEOUT' }, { from });
      assert.equal(app.received.length, received, 'not a byte of the rest passed');
    });
  }

  await t.test('the grant is narrowed meanwhile: cut at once, both ends', async () => {
    const open = planner.connect('researcher');
    open.socket.write('begun\n');
    await open.read(6);
    const [appSide] = app.sockets;
    const appClosed = new Promise((resolve) => appSide?.once('close', resolve));
    await grant(CALLS);
    const since = performance.now();
    await Promise.all([open.closed, appClosed]);
    assert.ok(performance.now() - since < 1000, `${performance.now() - since} ms`);
  });

  await t.test('a connection that says nothing yet is refused when it says what is no HTTP', async () => {
    await grant();
    const silent = planner.connect('researcher');
    await pollUntil(
      () => researcher.sessions(),
      ([session]) => session?.connections === 1,
    );
    await grant(CALLS);
    const [from, received] = [planner.sidecar.mark(), app.received.length];
    silent.socket.write('raw bytes after all');
    await silent.closed;
    await planner.waitForVerdict({ code: 'OPAQUE_NOT_GRANTED' }, { from });
    assert.equal(app.received.length, received, 'not a byte passed');
  });

  for (const [name, words] of [
    ['other bytes', 'raw bytes'],
    ['a line that is no request', 'GETS / and more\r\n'],
    ['what begins almost as TLS does', '\x16\x04\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
    ['one octet', '\x01'],
  ] as const) {
    await t.test(`${name}: OPAQUE_NOT_GRANTED, and not a byte passes`, async () => {
      const [from, received] = [planner.sidecar.mark(), app.received.length];
      const connection = planner.connect('researcher');
      connection.socket.write(Buffer.from(words, 'latin1'));
      await connection.closed;
      assert.equal(connection.received.length, 0);
      const refused = await planner.waitForVerdict({ code: 'OPAQUE_NOT_GRANTED' }, { from });
      assert.equal(refused['direction'], 'outbound');
      assert.equal(app.received.length, received);
    });
  }

  await t.test("the callee's sidecar refuses it by itself", async () => {
    const attacker = await Attacker.of(t, mesh);
    const exchange = await attacker.admitted(researcher.inbound, attacker.member('planner', planner.measurement));
    const received = app.received.length;
    const data = await openData(attacker, researcher.inbound, { ...dataOf(exchange), early: 'raw bytes' });
    assert.equal(await data.answer(), 'accepted');
    await data.closed;
    const refused = await researcher.waitForVerdict({ code: 'OPAQUE_NOT_GRANTED' });
    assert.equal(refused['direction'], 'inbound');
    assert.equal(app.received.length, received);
    exchange.destroy();
  });

  await t.test('with a grant for everything it passes again', async () => {
    await grant();
    assert.equal(await planner.call('researcher', 'raw bytes'), 'raw bytes');
  });
});
