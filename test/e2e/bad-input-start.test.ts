import assert from 'node:assert/strict';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { joinCredentialToText, parseJoinCredential } from '../../src/domain/join-credential.ts';
import { startMesh, type TestMesh } from '../support/mesh.ts';
import { runAit, type Outcome } from '../support/run-ait.ts';
import type { TestAgent } from '../support/test-agent.ts';

/** Starts the agent's sidecar with some sections replaced, and awaits its end. */
async function startWith(agent: TestAgent, changes: object): Promise<Outcome> {
  const file = join(agent.folder, 'bad.yaml');
  await writeFile(file, JSON.stringify({ ...agent.config, ...changes }));
  return runAit(['sidecar', '--config', file]);
}

async function credentialFile(agent: TestAgent, text: string): Promise<object> {
  const path = join(agent.folder, 'bad-credential');
  await writeFile(path, text, { mode: 0o600 });
  return { authority: { join_credential: path } };
}

/** One line of what happened, one of what to do, and nothing of the inside of the program. */
function assertClear({ code, output }: Outcome, ...says: readonly RegExp[]): void {
  assert.equal(code, 1, output);
  for (const pattern of says) assert.match(output, pattern);
  assert.match(output, /\n\s+try: \S/, 'it says what to do');
  assert.doesNotMatch(output, /ait: .*defect/, 'a mistake of the operator is no defect');
}

/** Somebody who answers on a unix socket. */
async function occupy(t: TestContext, path: string): Promise<void> {
  const server = createServer((socket) => socket.end());
  await new Promise<void>((resolve) => server.listen(path, resolve));
  t.after(() => server.close());
}

test('a sidecar that cannot start says which thing is in the way and what to do, exits 1 and leaves the thing alone', async (t) => {
  const mesh = await startMesh(t, { agents: { planner: { calls: ['researcher'], start: false }, researcher: {} } });
  const [planner, researcher] = [mesh.agent('planner'), mesh.agent('researcher')];
  const { inbound, metrics } = researcher.addresses;
  const stateDir = join(planner.folder, 'state');

  await t.test('the inbound port is in use', async () => {
    assertClear(
      await startWith(planner, { inbound: { listen: inbound } }),
      new RegExp(`inbound: ${inbound} is in use by another process`),
      /ss -ltnp/,
    );
  });
  await t.test('the metrics port is in use', async () => {
    assertClear(
      await startWith(planner, { metrics: { listen: metrics } }),
      new RegExp(`metrics and probes: ${metrics} is in use`),
    );
  });
  await t.test('a socket for a peer is held by a living process, which keeps it', async (t) => {
    const path = join(planner.folder, 'held.sock');
    await occupy(t, path);
    const peers = [{ agent: 'researcher', listen: `unix:${path}` }];
    assertClear(await startWith(planner, { peers }), new RegExp(`another process listens on unix:${path}`));
    assert.ok((await stat(path)).isSocket());
  });
  await t.test('another sidecar has the state directory', async () => {
    assertClear(
      await startWith(planner, { state_dir: join(researcher.folder, 'state') }),
      /another process listens on unix:.*admin\.sock/,
    );
    assert.equal((await researcher.status()).ready, true);
  });
  await t.test('a file that is no socket is where a socket should be: it is not removed', async () => {
    const path = join(planner.folder, 'precious');
    await writeFile(path, 'precious');
    assertClear(await startWith(planner, { admin: { socket: path } }), /precious is there already and is no socket/);
    assert.equal(await readFile(path, 'utf8'), 'precious');
  });
  await t.test('the state directory is below a file', async () => {
    const path = join(planner.folder, 'bad.yaml', 'state');
    assertClear(
      await startWith(planner, { state_dir: path }),
      new RegExp(`the state directory ${path} cannot be used`),
      /state_dir/,
    );
  });
  await t.test('the path of the admin socket is too long for one', async () => {
    assertClear(
      await startWith(planner, { admin: { socket: `/tmp/${'x'.repeat(120)}` } }),
      /longer than the path of a socket can be/,
    );
  });

  await t.test('the join credential is missing, or a directory', async () => {
    const missing = { authority: { join_credential: join(planner.folder, 'gone') } };
    assertClear(
      await startWith(planner, missing),
      /FILE_UNREADABLE: cannot read the join credential .*gone/,
      /ait agent credential/,
    );
    await mkdir(join(planner.folder, 'folder'));
    const folder = { authority: { join_credential: join(planner.folder, 'folder') } };
    assertClear(await startWith(planner, folder), /FILE_UNREADABLE: cannot read the join credential .*folder/);
  });
  await t.test('the join credential is garbage, empty or cut: nothing of it is repeated', async () => {
    const genuine = await mesh.authority.credential('planner');
    for (const text of ['-----BEGIN SECRET-----', '', genuine.slice(0, -40)]) {
      const outcome = await startWith(planner, await credentialFile(planner, text));
      assertClear(outcome, /JOIN_CREDENTIAL_MALFORMED/, /ait agent credential/);
      assert.ok(text === '' || !outcome.output.includes(text.slice(0, 20).replace('ait-join-1.', '')), outcome.output);
    }
  });
  await t.test('the join credential is of another mesh: the secret is not shown to the wrong authority', async () => {
    const genuine = parseJoinCredential(await mesh.authority.credential('planner'));
    const from = mesh.authority.process.mark();
    const text = joinCredentialToText({ ...genuine, rootSha256: 'ab'.repeat(32) });
    assertClear(
      await startWith(planner, await credentialFile(planner, text)),
      /AUTHORITY_ROOT_MISMATCH: .*is not the authority whose root this instance was given/,
      /join credential/,
    );
    assert.ok(
      !mesh.authority.process.lines.slice(from).some(({ event }) => event === 'joined' || event === 'join_refused'),
    );
  });
  await t.test('the join credential has ended, or is used up', async () => {
    const ended = await mesh.authority.credential('planner', { expires: '1ms' });
    assertClear(
      await startWith(planner, await credentialFile(planner, ended)),
      /the authority refused this instance: JOIN_CREDENTIAL_EXPIRED/,
      /ait agent credential/,
    );
    const once = await mesh.authority.credential('planner', { uses: 1 });
    // This one joins, and then finds its port taken.
    await startWith(planner, { ...(await credentialFile(planner, once)), inbound: { listen: inbound } });
    assertClear(
      await startWith(planner, await credentialFile(planner, once)),
      /the authority refused this instance: JOIN_CREDENTIAL_USED_UP/,
      /ait agent credential/,
    );
  });

  await t.test('after all of this it starts as it should, over the sockets of one that was killed', async () => {
    await planner.start();
    await planner.sidecar.kill();
    assert.ok((await stat(join(stateDir, 'admin.sock'))).isSocket(), 'left behind');
    assert.ok((await stat(planner.socketTo('researcher'))).isSocket(), 'left behind');
    await planner.start();
    assert.equal(await planner.call('researcher', 'hello'), 'hello');
  });
});

/** Starts another authority over the same files but for these settings. */
async function secondAuthority({ authority }: TestMesh, changes: Readonly<Record<string, string>>): Promise<Outcome> {
  const env = Object.fromEntries(
    Object.entries(changes).map(([name, value]) => [`AIT_AUTHORITY_${name.toUpperCase()}`, value]),
  );
  return runAit(['authority', '--config', join(authority.folder, 'authority.yaml')], { env });
}

test('an authority that cannot start says which thing is in the way and what to do, exits 1 and leaves the thing alone', async (t) => {
  const mesh = await startMesh(t, { agents: { planner: {} } });
  const { authority } = mesh;
  const { listen, metrics_listen: metrics } = (await authority.process.waitFor('authority_ready')) as unknown as Record<
    string,
    string
  >;
  const other = { state_dir: join(mesh.folder, 'other'), listen: '127.0.0.1:0', metrics_listen: '127.0.0.1:0' };

  await t.test('its state is in use: STATE_LOCKED, naming the process', async () => {
    assertClear(
      await secondAuthority(mesh, {}),
      new RegExp(`STATE_LOCKED: .*in use by process ${authority.process.pid}`),
    );
  });
  await t.test('its port is in use', async () => {
    assertClear(
      await secondAuthority(mesh, { ...other, listen: listen! }),
      new RegExp(`${listen} is in use by another process`),
    );
  });
  await t.test('its metrics port is in use', async () => {
    assertClear(
      await secondAuthority(mesh, { ...other, metrics_listen: metrics! }),
      new RegExp(`${metrics} is in use by another process`),
    );
  });
  await t.test('its state directory is below a file', async () => {
    const path = join(authority.folder, 'authority.yaml', 'state');
    assertClear(
      await secondAuthority(mesh, { ...other, state_dir: path }),
      new RegExp(`the state directory ${path} cannot be used`),
      /state_dir/,
    );
  });
  await t.test('its policy directory is missing', async () => {
    const path = join(mesh.folder, 'no-policy');
    assertClear(
      await secondAuthority(mesh, { ...other, policy_dir: path }),
      new RegExp(`the policy directory ${path} cannot be read`),
      /policy_dir/,
    );
  });
  await t.test('its state was cut off: it is left as it is, and nothing starts from empty', async () => {
    await authority.process.stop();
    const path = join(authority.stateDir, 'state.json');
    const whole = await readFile(path, 'utf8');
    await writeFile(path, whole.slice(0, -10));
    assertClear(await secondAuthority(mesh, {}), /STATE_FILE_CORRUPT: .*state\.json/, /backup/);
    assert.equal(await readFile(path, 'utf8'), whole.slice(0, -10));
    await writeFile(path, whole);
    await authority.start();
  });
});
