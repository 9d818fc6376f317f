import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Attacker } from '../support/attacker.ts';
import { verdictOn } from '../support/attacks.ts';
import { HostileAcceptor, acceptHonestly } from '../support/hostile-acceptor.ts';
import type { Identity } from '../support/forgery.ts';
import { startMesh } from '../support/mesh.ts';

const TIMING = {
  heartbeat: '200ms',
  lost_after: '1s',
  exchange_timeout: '500ms',
  handshake_timeout: '300ms',
  drain: '0s',
};

test('trust rule 13: silence is PEER_LOST and never drift, proofs keep a session alive', async (t) => {
  const mesh = await startMesh(t, {
    agents: {
      planner: { calls: ['researcher'], config: { timing: TIMING } },
      researcher: { config: { timing: TIMING } },
    },
  });
  const [planner, researcher] = [mesh.agent('planner'), mesh.agent('researcher')];
  const attacker = await Attacker.of(t, mesh);

  await t.test('a peer that says nothing more: PEER_LOST after the time configured', async () => {
    const exchange = await attacker.admitted(researcher.inbound, attacker.member('planner'));
    await exchange.expect('heartbeat');
    const verdict = await verdictOn(researcher, exchange);
    assert.deepEqual([verdict.event, verdict['code']], ['session_terminated', 'PEER_LOST']);
  });

  await t.test('a peer whose connection ends without a word: PEER_LOST at once', async () => {
    const exchange = await attacker.admitted(researcher.inbound, attacker.member('planner'));
    const startedAt = performance.now();
    exchange.destroy();
    assert.equal((await verdictOn(researcher, exchange))['code'], 'PEER_LOST');
    assert.ok(performance.now() - startedAt < 500, 'it was not the heartbeat that was missed');
  });

  await t.test('a peer that is stopped (SIGSTOP): PEER_LOST; when it goes on, calls work again', async () => {
    const call = planner.connect('researcher');
    call.socket.write('begin');
    await call.read(5);
    const from = planner.sidecar.mark();
    researcher.sidecar.signal('SIGSTOP');
    await call.closed;
    assert.equal((await planner.waitFor('session_terminated', () => true, { from }))['code'], 'PEER_LOST');
    researcher.sidecar.signal('SIGCONT');
    await researcher.waitFor('session_terminated', () => true, { from: 0 });
    await mesh.nudge(planner);
    assert.equal(await planner.call('researcher', 'again'), 'again');
  });

  await t.test("our own stop is nobody else's silence: sessions outlive it", async () => {
    const exchange = await attacker.admitted(researcher.inbound, attacker.member('planner'));
    const beats = setInterval(() => exchange.heartbeat(), 600);
    researcher.sidecar.signal('SIGSTOP');
    await new Promise((resolve) => setTimeout(resolve, 3_500));
    researcher.sidecar.signal('SIGCONT');
    const received = exchange.received.length;
    while (exchange.received.length < received + 3) assert.ok(await exchange.next(), 'the session ended');
    clearInterval(beats);
    assert.ok(!exchange.received.some(({ message }) => message === 'goodbye'));
    exchange.destroy();
  });

  assert.equal(await planner.metric('ait_drift_total'), 0);
  assert.equal(await researcher.metric('ait_drift_total'), 0);
});

test('trust rule 13: a peer that refuses is left alone for a while, one that does not answer in time is given up', async (t) => {
  const members: Identity[] = [];
  const fake = await new HostileAcceptor({
    identity: () => {
      const [member] = members;
      assert.ok(member);
      return member;
    },
  }).start(t);
  const mesh = await startMesh(t, {
    agents: {
      planner: { calls: ['researcher'], addresses: { researcher: fake.address }, config: { timing: TIMING } },
      researcher: { start: false },
    },
  });
  const planner = mesh.agent('planner');
  const attacker = await Attacker.of(t, mesh);
  members.push(attacker.member('researcher'));
  /** The first verdict there is; that an earlier session closes for want of connections is none on this call. */
  const refused = async () => {
    const from = planner.sidecar.mark();
    await assert.rejects(planner.call('researcher', 'secret'));
    const events = ['peer_denied', 'peer_refused', 'session_terminated'];
    return (await planner.waitFor(events, ({ code }) => code !== 'IDLE', { from }))['code'];
  };
  const scripts: Record<string, [script: Partial<HostileAcceptor['script']>, code: string]> = {
    'says Reject': [
      {
        onExchange: async (exchange) => {
          const { correlationId } = await exchange.expect('hello');
          exchange.send({ reject: { reason: 'WIRE_REASON_NOT_PERMITTED', correlationId } });
        },
      },
      'PEER_REFUSED',
    ],
    'says nothing': [{ onExchange: () => undefined }, 'EXCHANGE_TIMEOUT'],
    'stops after its proof': [
      {
        onExchange: async (exchange) => {
          await exchange.expect('hello');
          exchange.hello();
          exchange.prove();
        },
      },
      'EXCHANGE_TIMEOUT',
    ],
    'hangs up': [{ onExchange: (exchange) => exchange.destroy() }, 'PEER_LOST'],
    'talks out of turn': [{ onExchange: (exchange) => exchange.accept() }, 'PROTOCOL_ERROR'],
    'chooses a version that was not offered': [
      { onExchange: (exchange) => exchange.hello({ versions: [2] }) },
      'PROTOCOL_VERSION_UNSUPPORTED',
    ],
    'speaks garbage': [
      { onExchange: (exchange) => exchange.sendRaw(Buffer.from('ff'.repeat(64), 'hex')) },
      'PEER_LOST',
    ],
    "shows another's token": [
      {
        onExchange: (exchange) =>
          exchange
            .expect('hello')
            .then(() => exchange.hello({ ait: attacker.member('planner').ait }))
            .then(() => exchange.prove()),
      },
      'AIT_SUBJECT_MISMATCH',
    ],
    'replays our own proof': [
      {
        onExchange: async (exchange) => {
          await exchange.expect('hello');
          exchange.hello();
          exchange.prove({ role: 'dialler' });
        },
      },
      'PROOF_INVALID',
    ],
    'accepts, and drops every data connection': [
      { onExchange: acceptHonestly, onData: (socket) => socket.destroy() },
      'DATA_PREFACE_INVALID',
    ],
  };

  await t.test(
    'after a refusal no further dial for a while: the next call fails at once, with the same reason',
    async () => {
      fake.script = { identity: fake.script.identity, ...scripts['says Reject']?.[0] };
      assert.equal(await refused(), 'PEER_REFUSED');
      const dials = fake.connections;
      for (let call = 0; call < 5; call += 1) assert.equal(await refused(), 'PEER_REFUSED');
      assert.equal(fake.connections, dials);
      await mesh.nudge(planner);
    },
  );

  for (const [name, [script, code]] of Object.entries(scripts)) {
    await t.test(`a peer that ${name}: ${code}`, async () => {
      fake.script = { identity: fake.script.identity, ...script };
      assert.equal(await refused(), code);
      await mesh.nudge(planner);
    });
  }
});
