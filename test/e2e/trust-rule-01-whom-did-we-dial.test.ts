import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Attacker } from '../support/attacker.ts';
import type { Identity } from '../support/forgery.ts';
import { HostileAcceptor } from '../support/hostile-acceptor.ts';
import { startMesh } from '../support/mesh.ts';

test("trust rule 1: whoever answers at a peer's address must be that peer, on control and on data connections", async (t) => {
  let [onControl, onData]: (Identity | undefined)[] = [];
  const answering = (identity: Identity | undefined) => {
    assert.ok(identity);
    return identity;
  };
  // The control connection leads to another port for data.
  const dataSide = await new HostileAcceptor({ identity: () => answering(onData) }).start(t);
  const fake = await new HostileAcceptor({
    identity: () => answering(onControl),
    onExchange: async (exchange) => {
      const { correlationId } = await exchange.expect('hello');
      exchange.hello({ correlationId, dataAddress: dataSide.address });
      exchange.prove();
      await exchange.expect('accept');
      exchange.accept();
    },
  }).start(t);
  const mesh = await startMesh(t, {
    agents: {
      planner: { calls: ['researcher'], addresses: { researcher: fake.address } },
      researcher: { start: false },
      outsider: { start: false },
    },
  });
  const planner = mesh.agent('planner');
  const attacker = await Attacker.of(t, mesh);
  const refusedCall = async (fields = {}) => {
    const from = planner.sidecar.mark();
    await assert.rejects(planner.call('researcher', 'secret'));
    const { code } = await planner.waitForVerdict(fields, { from });
    await mesh.nudge(planner);
    return code;
  };

  await t.test(
    'a valid member that is not the one we dialled: UNEXPECTED_PEER, and it never sees our token',
    async () => {
      onControl = attacker.member('outsider');
      assert.equal(await refusedCall(), 'UNEXPECTED_PEER');
      assert.ok(fake.exchanges.length > 0);
      for (const { received } of fake.exchanges) assert.ok(received.every(({ message }) => message === 'reject'));
    },
  );

  await t.test('the authority itself at the address of an agent: UNEXPECTED_PEER', async () => {
    onControl = attacker.forger.identity({
      spiffeId: 'spiffe://acme.example/authority',
      measurement: planner.measurement,
    });
    assert.equal(await refusedCall(), 'UNEXPECTED_PEER');
  });

  await t.test(
    'the right peer on the control connection, a stranger on the data connection: UNEXPECTED_PEER',
    async () => {
      onControl = attacker.member('researcher');
      onData = attacker.member('outsider');
      assert.equal(await refusedCall(), 'UNEXPECTED_PEER');
      assert.equal(dataSide.connections, 2, 'the second after a new exchange: the instance might have rotated');
    },
  );

  await t.test('another certificate of the right peer on the data connection: UNEXPECTED_PEER', async () => {
    onData = attacker.member('researcher');
    const before = fake.exchanges.length;
    assert.equal(await refusedCall({ code: 'UNEXPECTED_PEER' }), 'UNEXPECTED_PEER');
    assert.equal(fake.exchanges.length - before, 2, 'one more exchange, and no third');
    // It may have rotated, so it is asked to continue the session, for which nobody vouches.
    const codes = await planner.codes();
    assert.ok(codes.filter((code) => code === 'CONTINUATION_INVALID').length >= 2, codes.join(', '));
  });

  await t.test(
    'the very same certificate: the call gets through (so that the refusals above have their stated cause)',
    async () => {
      onData = onControl;
      assert.equal(await planner.call('researcher', 'hello'), 'hello');
    },
  );
});
