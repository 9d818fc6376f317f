import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { httpGet } from '../support/admin-request.ts';
import { AitRun, writeAgentFile } from '../support/ait-run.ts';
import { awaitAddress, startMesh, type TestMesh } from '../support/mesh.ts';
import { pollUntil } from '../support/poll-until.ts';

/** Prints its environment, calls a peer with what it says, prints the answer and ends. */
const CALLER = `
console.log(JSON.stringify(process.env));
const socket = require('node:net').connect(process.env.AIT_PEER_RESEARCHER.replace('unix:', ''));
socket.on('error', () => undefined).write('hello?');
socket.once('data', (answer) => { console.log('answer ' + answer); socket.destroy(); });
socket.once('close', () => process.exit());
`;

test('the agent calls its peer by the variable it was given, at the first try, and sees no variable of a mesh process', async (t) => {
  const mesh = await startMesh(t, {
    agents: { planner: { start: false, calls: ['researcher'] }, researcher: {} },
  });
  const { folder } = mesh.agent('planner');
  const file = await writeAgentFile(mesh, 'planner', {
    peers: [{ agent: 'researcher', address: mesh.agent('researcher').inbound }],
    env: { WHERE: 'at ${peer.researcher}', LANG: 'from-the-file', PLAIN: '${UNKNOWN}' },
  });
  const env = {
    LANG: 'C',
    KEPT: 'yes',
    AIT_PEER_STALE: 'unix:/nowhere',
    AIT_SIDECAR_AUTHORITY__JOIN_CREDENTIAL: join(folder, 'credential'),
  };
  const run = new AitRun(t, file, ['node', '-e', CALLER], { env });
  assert.equal(await run.code(), 0, run.err);
  const [first = '', answer] = run.out.split('\n');
  assert.equal(answer, 'answer hello?', run.err);
  const seen = JSON.parse(first) as Record<string, string>;
  const socket = `unix:${join(folder, 'run-state/run/to-researcher.sock')}`;
  const ours = Object.fromEntries(Object.entries(seen).filter(([name]) => name.startsWith('AIT_')));
  assert.deepEqual(
    ours,
    { AIT_PEERS: 'researcher', AIT_PEER_RESEARCHER: socket },
    "and not the way to the operator's socket",
  );
  assert.deepEqual(
    [seen['WHERE'], seen['LANG'], seen['KEPT'], seen['PLAIN'], seen['LISTEN'], seen['OPENAI_BASE_URL']],
    [`at ${socket}`, 'from-the-file', 'yes', '${UNKNOWN}', undefined, undefined],
  );
});

/** Listens where it is told to and answers each connection. */
const SERVER = `
const { LISTEN, HOST, PORT } = process.env;
const at = LISTEN.startsWith('unix:') ? { path: LISTEN.slice(5) } : { host: HOST, port: Number(PORT) };
require('node:net').createServer((socket) => {
  socket.on('error', () => undefined);
  socket.once('data', (text) => socket.end('served ' + text));
}).listen(at, () => console.log('listening at ' + LISTEN));
`;

for (const [what, app, where] of [
  ['a unix socket that is chosen', {}, /listening at unix:\/.*\/run-state\/run\/agent\.sock/],
  ['a port that is chosen', { address: '127.0.0.1:0' }, /listening at 127\.0\.0\.1:[1-9]\d+/],
] as const) {
  test(`an agent that serves listens on ${what}, and its peers reach it, also after a kill -9 left the socket behind`, async (t) => {
    const mesh = await startMesh(t, {
      agents: { planner: { calls: ['researcher'] }, researcher: { start: false, app: false } },
    });
    const file = await writeAgentFile(mesh, 'researcher', { app });
    for (const attempt of ['first?', 'second?']) {
      const run = new AitRun(t, file, ['node', '-e', SERVER]);
      await run.printed(where);
      const { inbound } = await pollUntil(
        () => addressesOf(mesh, 'researcher'),
        ({ inbound }) => inbound !== '',
      );
      await awaitAddress(mesh.agent('planner'), inbound, 30_000);
      const answer = await callUntilAnswered(mesh, attempt);
      assert.equal(answer, `served ${attempt}`);
      if (attempt === 'first?') run.signal('SIGKILL');
      else run.signal('SIGTERM');
      assert.equal(await run.code(), attempt === 'first?' ? null : 143, run.err);
    }
  });
}

/** Where the sidecar that ait run has for an agent listens. */
async function addressesOf(mesh: TestMesh, name: string): Promise<{ inbound: string }> {
  const socketPath = join(mesh.agent(name).folder, 'run-state/admin.sock');
  const status = JSON.parse(await httpGet({ socketPath }, '/status')) as { addresses: { inbound: string } };
  return status.addresses;
}

/** An instance that was killed is on record until its certificate ends: a call may meet it first. */
async function callUntilAnswered(mesh: TestMesh, text: string): Promise<string> {
  const planner = mesh.agent('planner');
  const once = async (): Promise<string> => {
    const connection = planner.connect('researcher');
    connection.socket.write(text);
    await connection.closed;
    return connection.received.toString();
  };
  return pollUntil(once, (answer) => answer !== '', { deadlineMs: 60_000, everyMs: 200 });
}
