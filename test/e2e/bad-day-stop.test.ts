import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { BadProxy } from '../support/bad-proxy.ts';
import { awaitAddress, startMesh } from '../support/mesh.ts';
import { acceptHonestly, HostileAcceptor, type AcceptorScript } from '../support/hostile-acceptor.ts';
import { joinAs } from '../support/attacker.ts';
import { pollUntil } from '../support/poll-until.ts';

/** Where an acceptor falls silent: nothing comes from it any more, and the connection stays open. */
const PHASES: Readonly<Record<string, Omit<AcceptorScript, 'identity'>>> = {
  'before TLS': { onRaw: () => undefined },
  'before the answer to Hello': { onExchange: async (exchange) => void (await exchange.expect('hello')) },
  'between Hello and Proof': {
    onExchange: async (exchange) => {
      const { correlationId } = await exchange.expect('hello');
      exchange.hello({ correlationId });
    },
  },
  'before the last Accept': {
    onExchange: async (exchange) => {
      const { correlationId } = await exchange.expect('hello');
      exchange.hello({ correlationId });
      exchange.prove();
      await exchange.expect('accept');
    },
  },
  'before the answer to a data connection': { onExchange: acceptHonestly, onData: () => undefined },
};

test('SIGTERM to the dialling sidecar in each phase of the exchange: exit 0, at once, and the caller gets an end', async (t) => {
  const mesh = await startMesh(t, {
    agents: { planner: { calls: ['researcher'], start: false }, researcher: { start: false } },
  });
  const planner = mesh.agent('planner');
  const identity = await joinAs(mesh, 'researcher', mesh.agent('researcher').measurement);
  const [peer] = planner.config['peers'] as { agent: string; listen: string }[];
  for (const [phase, script] of Object.entries(PHASES)) {
    await t.test(phase, async (t) => {
      const acceptor = await new HostileAcceptor({ identity: () => identity, ...script }).start(t);
      planner.config['peers'] = [{ ...peer, address: acceptor.address }] as never;
      await planner.start();
      const call = planner.connect('researcher');
      call.socket.write('hello');
      const reached = (): boolean => {
        if (phase === 'before TLS') return acceptor.connections > 0;
        if (phase === 'before the answer to a data connection') return acceptor.dataSockets.length > 0;
        const wanted = phase === 'before the last Accept' ? 'accept' : 'hello';
        return acceptor.exchanges.some(({ received }) => received.some(({ message }) => message === wanted));
      };
      await pollUntil(reached, (yes) => yes);
      const asked = performance.now();
      assert.equal(await planner.sidecar.stop(4_000), 0, planner.sidecar.tail());
      assert.ok(performance.now() - asked < 4_000);
      assert.ok(planner.sidecar.lines.some(({ event }) => event === 'sidecar_stopped'));
      await call.closed;
      assert.equal(call.received.length, 0);
    });
  }
});

test('SIGTERM to the accepting sidecar while dialled connections hang in every phase: exit 0', async (t) => {
  const mesh = await startMesh(t, { agents: { planner: { calls: ['researcher'], start: false }, researcher: {} } });
  const [planner, researcher] = [mesh.agent('planner'), mesh.agent('researcher')];
  // Bytes of the dialler get stuck after as many as each phase has.
  const proxy = await BadProxy.start(t, () => researcher.inbound);
  const [peer] = planner.config['peers'] as { agent: string; listen: string }[];
  planner.config['peers'] = [{ ...peer, address: proxy.address }] as never;
  await planner.start();
  for (const delayMs of [50, 150, 400]) {
    proxy.delayMs = delayMs;
    const call = planner.connect('researcher');
    call.socket.write('hello');
    const metric = () => researcher.metric('ait_unauthenticated_connections');
    await Promise.race([pollUntil(metric, (open) => open > 0).catch(() => 0), delay(delayMs * 3)]);
    assert.equal(await researcher.sidecar.stop(4_000), 0, researcher.sidecar.tail());
    await call.closed;
    proxy.delayMs = 0;
    await researcher.start();
  }
});

test('SIGTERM while joining: exit 0, whether the authority is silent or hangs up', async (t) => {
  const mesh = await startMesh(t, { agents: { planner: { start: false } } });
  const planner = mesh.agent('planner');
  const proxy = await BadProxy.start(t, () => mesh.authority.address);
  planner.config['authority'] = { ...(planner.config['authority'] as object), address: proxy.address };
  for (const [what, misbehave] of [
    ['silent', () => undefined],
    ['away', (client: { destroy: () => unknown }) => void client.destroy()],
  ] as const) {
    await t.test(what, async () => {
      let taken: () => void = () => undefined;
      const came = new Promise<void>((resolve) => (taken = resolve));
      proxy.misbehave = (client) => {
        misbehave(client);
        taken();
      };
      await planner.start({ awaitReady: false });
      await came;
      assert.equal(await planner.sidecar.stop(5_000), 0, planner.sidecar.tail());
    });
  }
});

test('the authority is killed under load: calls go on, a cut is still made, and after its return everybody is where they were', async (t) => {
  const names = ['a', 'b', 'c', 'd'];
  const config = { timing: { heartbeat: '200ms' } };
  const callers = Object.fromEntries(names.map((name) => [name, { calls: ['researcher'], config }]));
  const mesh = await startMesh(t, { agents: { ...callers, researcher: { config } } });
  const agents = names.map((name) => mesh.agent(name));
  const researcher = mesh.agent('researcher');
  const failed: string[] = [];
  const enough = new AbortController();
  const load = Promise.all(
    agents.map(async (agent) => {
      for (let round = 0; !enough.signal.aborted; round += 1) {
        await agent.call('researcher', `${agent.name}${round}`).catch(() => failed.push(agent.name));
        await delay(5);
      }
    }),
  );
  // In the middle of a change that it has begun to send out.
  const changed = researcher.sidecar.mark();
  await mesh.authority.writePolicy('revocations/nobody', {
    kind: 'Revocation',
    id: 'x',
    instance: 'x',
    reason: 'a test',
  });
  await researcher.waitFor('state_applied', () => true, { from: changed });
  await mesh.authority.process.kill();
  await Promise.all(agents.map((agent) => agent.waitFor('state_watch_broken')));
  for (const agent of agents) assert.equal(await agent.call('researcher', 'still'), 'still');

  // Nobody needs the authority to drop whoever changed.
  const [drifter] = agents;
  const from = drifter!.sidecar.mark();
  await drifter!.files.writePrompt('You are poisoned.\n');
  const { code } = await drifter!.waitFor('session_terminated', () => true, { from });
  assert.equal(code, 'SYSTEM_PROMPT_DRIFT');
  await assert.rejects(drifter!.call('researcher'));
  await drifter!.files.writePrompt(`You are ${drifter!.name}. Be brief.\n`);

  await mesh.authority.start();
  await drifter!.waitFor('standing_in_order', () => true, { from });
  enough.abort();
  await load;
  for (const agent of agents) {
    await awaitAddress(agent, researcher.inbound);
    await pollUntil(
      () => agent.call('researcher', 'again').catch(String),
      (answer) => answer === 'again',
    );
    assert.ok(!agent.sidecar.lines.some(({ event }) => event === 'state_refused'), agent.sidecar.tail());
    assert.equal(await agent.metric('ait_drift_total'), agent === drifter ? 1 : 0);
  }
  assert.equal(await researcher.metric('ait_bundle_refused_total'), 0);
  assert.deepEqual(
    failed.filter((name) => name !== drifter?.name),
    [],
    'nobody else lost a call',
  );
});
