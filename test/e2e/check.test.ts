import assert from 'node:assert/strict';
import { chmod } from 'node:fs/promises';
import { dirname } from 'node:path';
import { test } from 'node:test';
import { checkOf } from '../support/checked.ts';
import { startMesh } from '../support/mesh.ts';
import { runAit } from '../support/run-ait.ts';
import type { TestAgent } from '../support/test-agent.ts';

const commonPortOf = (agent: TestAgent) => (agent.addresses as unknown as { outbound: string }).outbound;

test('a sound agent has nothing to fix, and the agents that it calls are not called by that', async (t) => {
  const mesh = await startMesh(t, {
    agents: {
      planner: { calls: ['researcher'], config: { outbound: { listen: '127.0.0.1:0' } } },
      researcher: {},
    },
  });
  const [planner, researcher] = [mesh.agent('planner'), mesh.agent('researcher')];

  await t.test('every way in is tried', async () => {
    const { code, failed, of } = await checkOf(planner);
    assert.deepEqual([code, failed], [0, []]);
    for (const check of [
      'peer-way',
      'common-way',
      'authority-way',
      'clock',
      'certificates',
      'sidecar-ready',
    ] as const) {
      assert.ok(
        of(check).length > 0 && of(check).every(({ verdict }) => verdict === 'ok'),
        `${check}: ${JSON.stringify(of(check))}`,
      );
    }
    assert.equal(of('common-way').length, 2, 'HTTP/2, and CONNECT to the peer');
    assert.match(of('mesh-names')[0]?.detail ?? '', /researcher\.mesh/);
    assert.equal(researcher.app.received.length, 0);
    const refusals = (await planner.decisions()).filter(({ rejection }) => rejection !== undefined);
    assert.deepEqual(refusals, [], 'nothing of it is a refusal');
  });

  await t.test('people get a table, found by the configuration', async () => {
    const { code, output } = await runAit(['check', '--config', `${planner.folder}/sidecar.yaml`]);
    assert.equal(code, 0, output);
    assert.match(output, /planner, by its sidecar at/);
    assert.match(output, /ok +peer-way +researcher at unix:.*: its sidecar takes our connections/);
    assert.match(output, /all is in order|nothing has to be fixed/);
  });

  await t.test('variables that lead around the sidecar', async () => {
    const common = commonPortOf(planner);
    const around = await checkOf(planner, { env: { HTTP_PROXY: `http://${common}`, NO_PROXY: '.mesh' } });
    assert.equal(around.code, 1);
    assert.match(around.failed.join(), /^proxy-variables: NO_PROXY has calls to researcher\.mesh go around/);
    const good = await checkOf(planner, { env: { HTTP_PROXY: `http://${common}` } });
    assert.deepEqual([good.code, good.failed], [0, []]);
  });

  await t.test("another process's variables", async () => {
    const { failed } = await checkOf(planner, {}, ['--pid', String(process.pid)]);
    assert.deepEqual(failed, []);
    const { code, output } = await runAit(['check', '--admin', planner.addresses.admin, '--pid', '2147483647']);
    assert.equal(code, 2, output);
  });

  await t.test('sockets that everybody may use, or replace', async () => {
    const socket = planner.socketTo('researcher');
    await chmod(socket, 0o666);
    const open = await checkOf(planner);
    assert.equal(open.code, 0, open.failed.join('\n'));
    assert.match(
      open
        .of('socket-access')
        .map(({ verdict, detail }) => `${verdict} ${detail}`)
        .join('\n'),
      /^warn .*0666: anybody on this machine/m,
    );
    await chmod(planner.addresses.admin, 0o666);
    assert.match((await checkOf(planner)).failed.join(), /0666: the admin socket is open to others/);
    await chmod(planner.addresses.admin, 0o600);
    await chmod(socket, 0o660);
    await chmod(dirname(socket), 0o777);
    assert.match((await checkOf(planner)).failed.join(), /anybody can put another socket in the place of/);
    await chmod(dirname(socket), 0o755);
  });

  await t.test('drift: not ready, and the way to each peer says why', async () => {
    await planner.files.writePrompt('Another one.');
    await planner.waitFor('peer_refused', ({ code }) => code === 'SYSTEM_PROMPT_DRIFT');
    const { code, failed } = await checkOf(planner);
    assert.equal(code, 1);
    assert.match(failed.join('\n'), /^sidecar-ready: standing: SYSTEM_PROMPT_DRIFT/m);
    assert.match(failed.join('\n'), /^peer-way: researcher .*SYSTEM_PROMPT_DRIFT/m);
    assert.match(failed.join('\n'), /^common-way: researcher .*SYSTEM_PROMPT_DRIFT/m);
  });
});
