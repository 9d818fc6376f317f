import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { LoggedProcess } from '../support/child-process.ts';
import { awaitAddress, startMesh } from '../support/mesh.ts';
import { runAit } from '../support/run-ait.ts';
import { AIT_BINARY } from '../support/test-agent.ts';
import { ask } from '../support/http-exchange.ts';

test('ait sidecar wait: begun before the sidecar is, it ends when the sidecar is ready, and not before', async (t) => {
  const mesh = await startMesh(t, { agents: { planner: { approve: false, start: false } } });
  const planner = mesh.agent('planner');
  const config = join(planner.folder, 'sidecar.yaml');
  const socket = join(planner.folder, 'state/admin.sock');
  const waiting = new LoggedProcess('wait', [AIT_BINARY, 'sidecar', 'wait', '--timeout', '60s', '--admin', socket]);
  t.after(() => waiting.kill());

  const nobody = await runAit(['sidecar', 'wait', '--admin', socket, '--timeout', '300ms']);
  assert.equal(nobody.code, 5, nobody.output);
  assert.match(nobody.output, /no sidecar answered at .*admin\.sock within 300ms/);

  await planner.start({ awaitReady: false });
  // Before it has the state and a measurement it waits for these.
  await planner.waitFor('peer_refused', ({ subject, code }) => subject === 'self' && code === 'BASELINE_MISSING');
  const early = await runAit(['sidecar', 'wait', '--config', config, '--timeout', '500ms']);
  assert.equal(early.code, 1, early.output);
  assert.match(early.output, /not ready after 500ms; it waits for:\n {4}standing: BASELINE_MISSING/);
  const asJson = await runAit(['sidecar', 'wait', '--config', config, '--timeout', '300ms', '--json']);
  const said = JSON.parse(asJson.output.split('\n').at(-1) ?? '') as { ready: boolean; blockers: { name: string }[] };
  assert.deepEqual([asJson.code, said.ready, said.blockers.map(({ name }) => name)], [1, false, ['standing']]);
  assert.equal(waiting.running, true);

  await mesh.approve('planner', { id: 'planner-1', files: planner.files });
  assert.equal(await waiting.exited, 0, waiting.tail());
  assert.match(waiting.tail(), /ready/);
});

test('ait sidecar wait: what makes no sense is refused before anybody is asked', async () => {
  for (const [args, expected] of [
    [['--timeout', 'soon'], /--timeout soon/],
    [['--config', '/nowhere/sidecar.yaml'], /\/nowhere\/sidecar\.yaml.*cannot be read[\s\S]*try: name the socket/],
    [['--config', '/dev/null'], /says neither admin\.socket nor state_dir/],
  ] as const) {
    const { code, output } = await runAit(['sidecar', 'wait', ...args]);
    assert.equal(code, 2, output);
    assert.match(output, expected);
  }
});

test('ait sidecar wait --mesh: ready before the agent listens; without it the agent is waited for', async (t) => {
  const agent = createServer();
  await new Promise<void>((resolve) => agent.listen(0, '127.0.0.1', resolve));
  const { port } = agent.address() as { port: number };
  await new Promise((resolve) => agent.close(resolve));
  const mesh = await startMesh(t, {
    agents: {
      planner: { calls: ['researcher'] },
      researcher: { start: false, app: false, config: { app: { address: `127.0.0.1:${port}` } } },
    },
  });
  const researcher = mesh.agent('researcher');
  await researcher.start({ awaitReady: false });
  await researcher.waitFor('sidecar_mesh_ready');
  const config = join(researcher.folder, 'sidecar.yaml');
  assert.equal((await runAit(['sidecar', 'wait', '--mesh', '--config', config])).code, 0);
  const metrics = Number(researcher.addresses.metrics.split(':')[1]);
  assert.equal((await ask({ port: metrics }, { path: '/readyz/mesh' })).status, 200);
  const readyz = await ask({ port: metrics }, { path: '/readyz' });
  assert.equal(readyz.status, 503);
  assert.match(readyz.text, new RegExp(`^app: the agent does not listen at 127.0.0.1:${port}: .*ECONNREFUSED`));
  assert.equal((await ask({ port: metrics }, { path: '/readyz/nothing' })).status, 404);
  const waited = await runAit(['sidecar', 'wait', '--config', config, '--timeout', '300ms']);
  assert.deepEqual([waited.code, /app: the agent does not listen/.test(waited.output)], [1, true]);
  assert.ok(!researcher.sidecar.lines.some(({ event }) => event === 'sidecar_ready'));

  await new Promise<void>((resolve) => agent.listen(port, '127.0.0.1', resolve));
  t.after(() => agent.close());
  assert.equal((await runAit(['sidecar', 'wait', '--config', config])).code, 0);
  await researcher.waitFor('sidecar_ready');
  await awaitAddress(mesh.agent('planner'), researcher.inbound);

  // It goes down again with the first call that does not get through.
  await new Promise((resolve) => agent.close(resolve));
  assert.equal((await ask({ port: metrics }, { path: '/readyz' })).status, 200, 'nobody has noticed yet');
  await assert.rejects(mesh.agent('planner').call('researcher'));
  assert.match((await ask({ port: metrics }, { path: '/readyz' })).text, /^app: the agent does not listen/);
  assert.equal((await ask({ port: metrics }, { path: '/readyz/mesh' })).status, 200);
});

test('POST /quit and ait sidecar quit: the sidecar drains and exits 0; a GET changes nothing', async (t) => {
  const mesh = await startMesh(t, { agents: { planner: { calls: ['researcher'] }, researcher: {} } });
  const [planner, researcher] = [mesh.agent('planner'), mesh.agent('researcher')];
  assert.equal(await planner.call('researcher'), 'ping');

  const socketPath = researcher.addresses.admin;
  assert.equal((await ask({ socketPath }, { path: '/quit' })).status, 405);
  assert.equal(
    (await ask({ socketPath }, { method: 'POST', path: '/quit', headers: { origin: 'http://x' } })).status,
    403,
  );
  assert.equal(researcher.sidecar.running, true);
  assert.equal((await ask({ socketPath }, { method: 'POST', path: '/quit' })).status, 202);
  assert.equal(await researcher.sidecar.exited, 0, researcher.sidecar.tail());
  assert.ok(researcher.sidecar.lines.some(({ event }) => event === 'sidecar_drained'));

  const config = join(planner.folder, 'sidecar.yaml');
  const told = await runAit(['sidecar', 'quit', '--config', config, '--json']);
  assert.equal(told.code, 0, told.output);
  assert.match(told.output, /\{"quitting":true\}/);
  assert.equal(await planner.sidecar.exited, 0, planner.sidecar.tail());
  const again = await runAit(['sidecar', 'quit', '--config', config]);
  assert.equal(again.code, 5, again.output);
});
