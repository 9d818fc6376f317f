import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { framePreface } from '../../src/sidecar/data/preface.ts';
import { dataOpenCodec } from '../../src/wire/services.ts';
import { hostOf, portOf } from '../support/admin-request.ts';
import { Attacker } from '../support/attacker.ts';
import { connectionOver } from '../support/connection-over.ts';
import { dataOf, openData } from '../support/hostile-data.ts';
import { acceptHonestly, HostileAcceptor } from '../support/hostile-acceptor.ts';
import { startMesh } from '../support/mesh.ts';
import { pollUntil } from '../support/poll-until.ts';

/** As long as a test may take: the member of these tests proves itself once and then only opens connections. */
const PATIENT = { timing: { lost_after: '1m' } };

test('a preface of a member that breaks off anywhere is refused as such, and costs nobody else anything', async (t) => {
  const mesh = await startMesh(t, { agents: { planner: { calls: ['researcher'] }, researcher: {} } });
  const [planner, victim] = [mesh.agent('planner'), mesh.agent('researcher')];
  const attacker = await Attacker.of(t, mesh);
  const member = attacker.member('planner');
  const held = planner.connect('researcher');
  held.socket.write('held');
  await held.read(4);

  const open = { sessionId: Buffer.alloc(16, 1), instanceId: 'somebody', correlationId: 'x' };
  const whole = framePreface(dataOpenCodec.encode(open));
  const short = (bytes: number) => whole.subarray(0, bytes);
  for (const [what, bytes] of [
    ['nothing at all', Buffer.alloc(0)],
    ['one byte', short(1)],
    ['its length alone', short(2)],
    ['all but the last byte', short(whole.length - 1)],
    ['a length of nothing', Buffer.from([0, 0])],
    ['a length beyond the limit', Buffer.from([0xff, 0xff])],
  ] as const) {
    await t.test(`${what}, then the end: DATA_PREFACE_INVALID`, async () => {
      const from = victim.sidecar.mark();
      const socket = await attacker.tls(victim.inbound, { identity: member, ALPNProtocols: ['ait-data/1'] });
      socket.end(bytes);
      const verdict = await victim.waitForVerdict({ code: 'DATA_PREFACE_INVALID' }, { from });
      assert.equal(verdict['subject'], member.spiffeId);
      await connectionOver(socket);
    });
  }

  held.socket.write('still');
  assert.equal((await held.read(5)).toString(), 'still', 'the call that was open goes on');
  assert.equal(await planner.call('researcher', 'new'), 'new');
  assert.equal(victim.sidecar.lines.filter(({ event }) => event === 'defect').length, 0);
});

test('a called member that states an address which is none is refused; the caller lives on', async (t) => {
  const mesh = await startMesh(t, { agents: { planner: { start: false }, researcher: { start: false } } });
  const attacker = await Attacker.of(t, mesh);
  const identity = attacker.member('researcher');
  const acceptor = await new HostileAcceptor({ identity: () => identity }).start(t);
  await mesh.authority.writePolicy('grants/planner', { kind: 'Grant', from: 'planner', to: ['researcher'] });
  const { files } = mesh.agent('planner');
  const caller = await mesh.addInstance('caller', {
    agent: 'planner',
    files,
    spec: { calls: ['researcher'], addresses: { researcher: acceptor.address } },
  });

  for (const dataAddress of ['10.0.0.5:70000', 'nonsense', '127.0.0.1:-1', '127.0.0.1:0', '[::1:1', '\0:1']) {
    await t.test(`${JSON.stringify(dataAddress)}: PROTOCOL_ERROR`, async () => {
      acceptor.script = {
        identity: () => identity,
        onExchange: async (exchange) => {
          const { correlationId } = await exchange.expect('hello');
          exchange.hello({ correlationId, dataAddress });
          exchange.prove();
          await exchange.expect('accept');
          exchange.accept();
        },
      };
      await mesh.nudge(caller);
      const from = caller.sidecar.mark();
      await assert.rejects(caller.call('researcher'));
      const verdict = await caller.waitForVerdict({ code: 'PROTOCOL_ERROR' }, { from });
      assert.equal(verdict['subject'], identity.spiffeId);
    });
  }

  await t.test('once it states a true one, the same sidecar calls it', async () => {
    acceptor.script = { identity: () => identity, onExchange: acceptHonestly };
    await mesh.nudge(caller);
    assert.equal(await caller.call('researcher', 'now'), 'now');
    assert.equal(caller.sidecar.lines.filter(({ event }) => event === 'defect').length, 0);
  });
});

test('a member that opens 300 connections and resets each at another moment leaves none behind', async (t) => {
  const mesh = await startMesh(t, {
    agents: { planner: { calls: ['researcher'], start: false }, researcher: { config: PATIENT } },
  });
  const victim = mesh.agent('researcher');
  const attacker = await Attacker.of(t, mesh);
  const identity = attacker.member('planner');
  const exchange = await attacker.admitted(victim.inbound, identity);
  const { sessionId, instanceId } = dataOf(exchange);
  const open = framePreface(
    dataOpenCodec.encode({ sessionId: Buffer.from(sessionId, 'hex'), instanceId, correlationId: 'x' }),
  );
  for (let count = 0; count < 300; count += 1) {
    const socket = connect(portOf(victim.inbound), hostOf(victim.inbound));
    socket.on('error', () => undefined);
    const secured = await attacker.tls(victim.inbound, { identity, ALPNProtocols: ['ait-data/1'], socket });
    const { opened } = victim.app;
    secured.write(open);
    // From before the preface can have been read until after the application has answered.
    for (let turn = 0; turn < count % 60; turn += 1) await nextTurn();
    // However busy the machine is, some get as far as the application.
    if (count % 20 === 0) {
      await pollUntil(
        () => victim.app.opened,
        (now) => now > opened,
      );
    }
    socket.resetAndDestroy();
  }

  await pollUntil(
    async () => [(await victim.sessions())[0]?.connections, victim.app.sockets.size],
    ([connections, sockets]) => connections === 0 && sockets === 0,
  );
  assert.equal(await victim.metric('ait_connections'), 0);
  assert.equal(await victim.metric('ait_unauthenticated_connections'), 0);
  assert.ok(victim.app.opened > 10, 'none got as far as the application: the test says nothing');
  const data = await openData(attacker, victim.inbound, { ...dataOf(exchange), early: 'hello' });
  assert.equal(await data.answer(), 'accepted', 'the session is as good as before');
  assert.equal((await data.payload(5)).toString(), 'hello');
});
