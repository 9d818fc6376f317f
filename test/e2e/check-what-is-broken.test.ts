import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { AitRun, writeAgentFile } from '../support/ait-run.ts';
import { checkOf, readCheck } from '../support/checked.ts';
import { startMesh } from '../support/mesh.ts';
import { runAit } from '../support/run-ait.ts';
import { shiftedClock } from '../support/shifted-clock.ts';
import { AIT_BINARY } from '../support/test-agent.ts';

/** An agent that listens on every address of this machine. @returns its port */
async function agentForEverybody(t: TestContext): Promise<number> {
  const server = createServer((socket) => void socket.on('error', () => undefined));
  await new Promise<void>((resolve) => server.listen(0, '0.0.0.0', resolve));
  t.after(() => server.close());
  return (server.address() as AddressInfo).port;
}

test('what is broken is named, with what helps', async (t) => {
  const port = await agentForEverybody(t);
  const mesh = await startMesh(t, {
    agents: {
      planner: {
        calls: ['researcher', 'absent', 'nowhere'],
        addresses: { nowhere: 'nowhere.invalid:17443' },
        config: { outbound: { listen: '127.0.0.1:0' } },
      },
      researcher: { app: false, start: false, config: { app: { address: `127.0.0.1:${port}` } } },
      absent: { app: false, start: false },
      nowhere: { app: false, start: false },
      lonely: { start: false },
      early: { start: false },
    },
  });
  const [planner, researcher] = [mesh.agent('planner'), mesh.agent('researcher')];
  await researcher.start({ awaitReady: false });
  await researcher.waitFor('app_reachable_around_sidecar');

  await t.test('peers that are not there, and a host that nobody has', async () => {
    const { code, failed, of } = await checkOf(planner);
    assert.equal(code, 1);
    const all = failed.join('\n');
    assert.match(all, /^peer-way: absent at .*PEER_ADDRESS_UNKNOWN/m);
    assert.match(all, /^common-way: absent at .*PEER_ADDRESS_UNKNOWN.*ait explain --id/m);
    assert.match(all, /^peer-way: nowhere at .*PEER_UNREACHABLE/m);
    assert.match(all, /^host-names: nowhere: nowhere\.invalid cannot be resolved/m);
    assert.ok(of('peer-way').some(({ verdict, detail }) => verdict === 'ok' && detail.startsWith('researcher')));
  });

  await t.test('an agent that can be reached around its sidecar', async () => {
    const { failed } = await checkOf(researcher);
    assert.match(failed.join('\n'), /^sidecar-ready: app_reachable/m);
    assert.match(failed.join('\n'), new RegExp(`^around-the-sidecar: .*0\\.0\\.0\\.0:${port}`, 'm'));
  });

  await t.test('clocks: the sidecar, the authority, and both as one', async () => {
    const ahead = mesh.agent('lonely');
    ahead.nodeOptions = shiftedClock({ atStartMs: 20_000 });
    await ahead.start();
    const warned = (await checkOf(ahead)).of('clock').filter(({ verdict }) => verdict === 'warn');
    assert.deepEqual(
      warned.map(({ detail }) => detail.replaceAll(/\d+\.\d/g, 'n')),
      ["the sidecar's clock is n s ahead", "the authority's clock, against the sidecar's is n s behind"],
    );

    const early = mesh.agent('early');
    early.nodeOptions = shiftedClock({ atStartMs: -30 * 60_000 });
    await early.start({ awaitReady: false });
    await early.waitFor('join_failed');
    // It does not even listen yet, but its operators are answered.
    const { code, output } = await runAit(['check', '--config', join(early.folder, 'sidecar.yaml'), '--json']);
    const { failed } = readCheck(output, code);
    assert.match(failed.join('\n'), /^sidecar-ready: join: /m);
    assert.match(failed.join('\n'), /^clock: the sidecar's clock is 1800\.\d s behind/m);
  });

  await t.test('as the agent itself, by its variables', async (t) => {
    await planner.sidecar.kill();
    const file = await writeAgentFile(mesh, 'planner', {
      peers: [{ agent: 'researcher' }, { agent: 'absent' }],
      outbound: { listen: '127.0.0.1:0' },
      env: { grpc_proxy: 'http://${outbound}' },
    });
    const run = new AitRun(t, file, [process.execPath, AIT_BINARY, 'check', '--json']);
    const { code } = await run.exited;
    const checked = readCheck(run.out, code);
    assert.equal(code, 1, run.err);
    assert.equal(checked.of('sidecar-answers')[0]?.verdict, 'skip');
    assert.match(checked.failed.join('\n'), /^common-way: absent .*PEER_ADDRESS_UNKNOWN/m);
    assert.ok(
      checked.of('peer-way').some(({ verdict, detail }) => verdict === 'ok' && detail.startsWith('researcher')),
    );
    assert.match(checked.of('proxy-variables')[0]?.detail ?? '', /^grpc_proxy lead/);
    assert.equal(checked.of('peer-variables')[0]?.verdict, 'ok');
  });

  await t.test('a sidecar that was killed, and an authority that is gone', async () => {
    const { code, failed } = await checkOf(planner);
    assert.equal(code, 1);
    assert.match(failed.join('\n'), /^sidecar-answers: .*admin\.sock/m);
    await mesh.authority.process.kill();
    const without = await checkOf(researcher);
    assert.match(without.failed.join('\n'), /^authority-way: .*ECONNREFUSED/m);
  });

  await t.test('nothing to check, and flags that make no sense: 2', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'ait-check-'));
    t.after(() => rm(folder, { recursive: true, force: true }));
    const nothing = await runAit(['check'], { cwd: folder });
    assert.equal(nothing.code, 2, nothing.output);
    assert.match(nothing.output, /nothing here to check/);
    assert.equal((await runAit(['check', '--timeout', 'soon'], { cwd: folder })).code, 2);
    assert.equal((await runAit(['check', '--pid', '1; true'], { cwd: folder })).code, 2);
    const authority = await runAit(['check', '--admin', join(folder, 'nobody.sock'), '--json']);
    assert.equal(authority.code, 1);
  });
});
