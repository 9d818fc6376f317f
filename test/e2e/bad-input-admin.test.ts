import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { portOf } from '../support/admin-request.ts';
import { connectionOver } from '../support/connection-over.ts';
import { ask, type HttpQuestion } from '../support/http-exchange.ts';
import { startMesh } from '../support/mesh.ts';

const LEVEL = '/log-level';

/** What no admin socket answers, whosever it is; `post` is something that it does take by POST. */
const refused = (post: string): readonly (HttpQuestion & { what: string; status: number; says: RegExp })[] => [
  { what: 'a change by PUT', method: 'PUT', path: post, status: 405, says: /takes .*POST only/ },
  { what: 'reading by POST', method: 'POST', path: '/status', status: 405, says: /takes GET only/ },
  { what: 'DELETE', method: 'DELETE', path: '/status', status: 405, says: /takes GET only/ },
  { what: 'a path that nobody knows', path: '/nothing', status: 404, says: /there is GET \/status/ },
  {
    what: "a web page's read",
    path: '/status',
    headers: { origin: 'http://localhost' },
    status: 403,
    says: /web pages are refused/,
  },
  {
    what: "a web page's change",
    method: 'POST',
    path: post,
    headers: { origin: 'null' },
    body: '{}',
    status: 403,
    says: /web pages/,
  },
  {
    what: 'a body of 17 KiB',
    method: 'POST',
    path: post,
    body: 'x'.repeat(17 * 1024),
    status: 413,
    says: /more than 16384 bytes/,
  },
  { what: 'a body that is no JSON', method: 'POST', path: post, body: '{"level"', status: 400, says: /./ },
  { what: 'a key twice', method: 'POST', path: post, body: '{"level":"info","level":"debug"}', status: 400, says: /./ },
];

test('an admin socket refuses what is not for it, with a problem document, and goes on', async (t) => {
  const mesh = await startMesh(t, { agents: { planner: {} } });
  const planner = mesh.agent('planner');
  const sidecar = planner.addresses.admin;
  const sockets = {
    sidecar: [sidecar, LEVEL],
    authority: [join(mesh.authority.stateDir, 'admin.sock'), '/join-credentials'],
  } as const;

  for (const [whose, [socketPath, post]] of Object.entries(sockets)) {
    for (const { what, status, says, ...question } of refused(post)) {
      await t.test(`${whose}: ${what}: ${status}`, async () => {
        const answer = await ask({ socketPath }, question);
        assert.equal(answer.status, status, answer.text);
        assert.equal(answer.type, 'application/problem+json');
        const problem = JSON.parse(answer.text) as { status: number; detail: string };
        assert.equal(problem.status, status);
        assert.match(problem.detail, says);
      });
    }
    await t.test(`${whose}: a change by GET changes nothing`, async () => {
      const answer = await ask({ socketPath }, { path: `${post}?agent=planner&level=debug` });
      if (post === LEVEL) assert.equal(answer.status, 405, answer.text);
      // There it reads, and there is one: the planner's own.
      else assert.equal((JSON.parse(answer.text) as object[]).length, 1);
    });
    await t.test(`${whose}: something that is no HTTP`, async () => {
      const socket = connect({ path: socketPath });
      socket.end(Buffer.from([0x16, 0x03, 0x01, 0x00, 0xff, 0x00]));
      await connectionOver(socket);
      assert.equal((await ask({ socketPath }, { path: '/status' })).status, 200);
    });
  }

  await t.test('a log level that is none is refused with those that are, and nothing changes', async () => {
    for (const body of ['{"level":"loud"}', '{"level":1}', '{}', '', '{"level":"debug","more":1}', '[]']) {
      const { status, text } = await ask({ socketPath: sidecar }, { method: 'POST', path: LEVEL, body });
      assert.equal(status, 400, text);
    }
    const { text } = await ask({ socketPath: sidecar }, { method: 'POST', path: LEVEL, body: '{"level":"loud"}' });
    assert.match(text, /level.*trace, debug, info, warn, error, fatal, silent/);
  });

  await t.test('POST /log-level acts at once and until it is set again', async () => {
    const set = (level: string) =>
      ask({ socketPath: sidecar }, { method: 'POST', path: LEVEL, body: JSON.stringify({ level }) });
    assert.deepEqual(JSON.parse((await set('error')).text), { level: 'error' });
    const from = planner.sidecar.mark();
    await planner.files.writePrompt('You are poisoned.\n');
    const series = { dimension: 'system_prompt', peer: 'self' };
    while ((await planner.metric('ait_drift_total', series)) === 0) await planner.status();
    assert.deepEqual(planner.sidecar.lines.slice(from), [], 'a warning is not written');
    await set('warn');
    await planner.files.writePrompt('You are poisoned again.\n');
    await planner.waitForVerdict({ code: 'SYSTEM_PROMPT_DRIFT' }, { from });
    assert.ok(!planner.sidecar.lines.slice(from).some(({ level }) => level === 'info'));
  });
});

test('the metrics port answers three paths by GET, and nobody can hold it up', async (t) => {
  const mesh = await startMesh(t, { agents: { planner: {} } });
  const planner = mesh.agent('planner');
  const port = portOf(planner.addresses.metrics);

  await t.test('anything else is refused: 404, 405', async () => {
    assert.equal((await ask({ port }, { path: '/' })).status, 404);
    assert.equal((await ask({ port }, { path: '/config' })).status, 404);
    assert.equal((await ask({ port }, { method: 'POST', path: '/metrics', body: 'x' })).status, 405);
    assert.equal((await ask({ port }, { method: 'POST', path: LEVEL, body: '{"level":"debug"}' })).status, 405);
  });
  await t.test('a header block beyond 8 KiB: 431', async () => {
    assert.equal((await ask({ port }, { path: '/metrics', headers: { x: 'x'.repeat(9_000) } })).status, 431);
  });
  await t.test('garbage: 400, and the end of that connection only', async () => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.write('\0\0\0 nonsense\r\n\r\n');
    await connectionOver(socket);
    assert.equal((await ask({ port }, { path: '/livez' })).status, 200);
  });
  await t.test(
    'callers that say nothing, or a header a minute, are hung up on; a scrape gets through meanwhile',
    async () => {
      const slow = Array.from({ length: 40 }, (_, index) => {
        const socket = connect({ host: '127.0.0.1', port });
        if (index % 2 === 1) socket.write('GET /metrics HTTP/1.1\r\nhost: x\r\nx-slow: ');
        return connectionOver(socket, 15_000);
      });
      assert.equal((await ask({ port }, { path: '/metrics' })).status, 200);
      await Promise.all(slow);
      assert.equal((await ask({ port }, { path: '/readyz' })).status, 200);
    },
  );
});
