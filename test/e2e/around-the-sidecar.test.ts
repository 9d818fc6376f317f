import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { httpGet } from '../support/admin-request.ts';
import { startMesh } from '../support/mesh.ts';

/** An agent that listens on this address, and on that port where one is given. */
async function agentOn(t: TestContext, host: string, port = 0): Promise<{ server: Server; port: number }> {
  const server = createServer((socket) => void socket.on('error', () => undefined));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, resolve);
  });
  t.after(() => server.close());
  return { server, port: (server.address() as AddressInfo).port };
}

function researcherAt(port: number, more: object = {}) {
  return { researcher: { start: false, app: false, config: { app: { address: `127.0.0.1:${port}`, ...more } } } };
}

for (const host of ['0.0.0.0', '::'] as const) {
  test(`an agent that listens on ${host} can be reached around its sidecar: not ready, and it says what to do`, async (t) => {
    const { port } = await agentOn(t, host);
    const mesh = await startMesh(t, { agents: researcherAt(port) });
    const researcher = mesh.agent('researcher');
    await researcher.start({ awaitReady: false });
    await researcher.waitFor('sidecar_mesh_ready');
    await researcher.waitFor('app_reachable_around_sidecar', ({ level }) => level === 'error');
    const readyz = await httpGet({ address: researcher.addresses.metrics }, '/readyz');
    const shown = host === '::' ? '[::]' : host;
    assert.ok(
      readyz.includes(`app_reachable: the agent can be reached around this sidecar, at ${shown}:${port}`),
      readyz,
    );
    assert.match(readyz, /have the agent listen on 127\.0\.0\.1 or a unix socket, or set app\.allow_reachable: true/);
    assert.ok(!readyz.includes('app:'), 'it does listen');
    assert.equal(await httpGet({ address: researcher.addresses.metrics }, '/readyz/mesh'), 'ready\n');

    // Allowed by name, in the running process: ready, and still loud.
    researcher.config['app'] = { address: `127.0.0.1:${port}`, allow_reachable: true };
    await writeFile(join(researcher.folder, 'sidecar.yaml'), JSON.stringify(researcher.config));
    await researcher.waitFor('app_reachable_around_sidecar', ({ level }) => level === 'warn');
    await researcher.waitFor('sidecar_ready');
  });
}

test('an agent on loopback alone is ready; so is one of another port on 0.0.0.0', async (t) => {
  const { port } = await agentOn(t, '127.0.0.1');
  await agentOn(t, '0.0.0.0');
  const mesh = await startMesh(t, { agents: researcherAt(port) });
  await mesh.agent('researcher').start();
});

test('an agent that comes up on 0.0.0.0 later is found at the moment it comes up: there is no ready in between', async (t) => {
  const { server, port } = await agentOn(t, '127.0.0.1');
  await new Promise((resolve) => server.close(resolve));
  const mesh = await startMesh(t, { agents: researcherAt(port) });
  const researcher = mesh.agent('researcher');
  await researcher.start({ awaitReady: false });
  await researcher.waitFor('sidecar_mesh_ready');
  await agentOn(t, '0.0.0.0', port);
  await researcher.waitFor('app_reachable_around_sidecar');
  assert.ok(!researcher.sidecar.lines.some(({ event }) => event === 'sidecar_ready'));
});
