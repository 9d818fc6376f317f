import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Attacker } from '../support/attacker.ts';
import { dataOf, openData } from '../support/hostile-data.ts';
import { startMesh } from '../support/mesh.ts';
import { pollUntil } from '../support/poll-until.ts';

const MEGABYTE = 1024 * 1024;

test('trust rule 8: at the cut the reason is told first, and a reader that stalled gets next to nothing more', async (t) => {
  const mesh = await startMesh(t, { agents: { planner: { calls: ['researcher'], start: false }, researcher: {} } });
  const victim = mesh.agent('researcher');
  const attacker = await Attacker.of(t, mesh);
  const exchange = await attacker.admitted(victim.inbound, attacker.member('planner'));
  const data = await openData(attacker, victim.inbound, dataOf(exchange));
  assert.equal(await data.answer(), 'accepted');
  data.socket.pause();

  // The app sends until nothing more fits anywhere between it and the peer that reads nothing.
  // The sidecar may have heard of its connection before the app has.
  const [app] = await pollUntil(
    () => [...victim.app.sockets],
    (sockets) => sockets.length > 0,
  );
  assert.ok(app);
  const full = new Promise<void>((resolve) => {
    let quiet: NodeJS.Timeout;
    const write = () => {
      while (app.write(Buffer.alloc(64 * 1024, 'x')));
      clearTimeout(quiet);
      quiet = setTimeout(resolve, 300);
      app.once('drain', write);
    };
    write();
  });
  await full;
  const before = data.received.length;
  const sent = app.bytesWritten;
  assert.ok(sent > MEGABYTE, 'something has to be under way, or the test says nothing');

  const drifted = structuredClone(exchange.identity.measurement);
  exchange.heartbeat({ measurement: { ...drifted, model: { ...drifted.model, version: '666' } as never } });
  const { reason, correlationId } = await exchange.expect('goodbye');
  assert.deepEqual([reason, correlationId], ['WIRE_REASON_DRIFT', exchange.correlationId]);
  const verdict = await victim.waitForVerdict({ correlationId: exchange.correlationId });
  assert.deepEqual([verdict.event, verdict['code'], verdict['connections']], ['session_terminated', 'MODEL_DRIFT', 1]);
  assert.ok(Number(verdict['enforcementMs']) < 50);

  data.socket.resume();
  await data.closed;
  const after = data.received.length - before;
  assert.ok(after < 256 * 1024, `${after} bytes were read after the cut, of ${sent} sent`);
  await exchange.closed;
});

test('trust rule 8: a call in flight ends at once, on both sides of the session, and does not hang', async (t) => {
  const mesh = await startMesh(t, { agents: { planner: { calls: ['researcher'] }, researcher: {} } });
  const [planner, researcher] = [mesh.agent('planner'), mesh.agent('researcher')];
  const call = planner.connect('researcher');
  call.socket.write('half of a request');
  await call.read(17);
  const [appSide] = researcher.app.sockets;
  const appClosed = new Promise((resolve) => appSide?.once('close', resolve));
  await planner.files.writePrompt('You are somebody else.\n');
  await call.closed;
  await appClosed;
  const { code, subject } = await planner.waitFor('peer_refused', ({ subject: about }) => about === 'self');
  assert.deepEqual([code, subject], ['SYSTEM_PROMPT_DRIFT', 'self']);
  const theirs = await researcher.waitFor('session_terminated');
  assert.equal(theirs['code'], 'PEER_ENDED');
  assert.deepEqual(theirs['peerSaid'], { reason: 'UNAVAILABLE', correlationId: theirs['correlationId'] });
});
