import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { connect, createServer as createTcpServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { Daemon, findProgram, freePort, run } from '../support/debian-program.ts';
import { startMesh, type TestMesh } from '../support/mesh.ts';
import { pollUntil } from '../support/poll-until.ts';

const SIZE = 50 * 1024 * 1024;
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** A mesh in which the planner's calls end at this address. */
async function meshBefore(t: TestContext, address: string): Promise<TestMesh> {
  return startMesh(t, {
    agents: { planner: { calls: ['researcher'] }, researcher: { app: false, config: { app: { address } } } },
  });
}

function canConnect(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

async function nghttpd(t: TestContext, folder: string): Promise<string> {
  const port = await freePort();
  new Daemon(t, findProgram('nghttpd', 'nghttp2-server'), [
    '--no-tls',
    '--echo-upload',
    '--address=127.0.0.1',
    '--workers=1',
    `--htdocs=${folder}`,
    String(port),
  ]);
  // It does not say when it listens.
  await pollUntil(
    () => canConnect(port),
    (listens) => listens,
  );
  return `127.0.0.1:${port}`;
}

test('HTTP/2 by curl, h2load and nghttpd, through two sidecars', async (t) => {
  const curl = findProgram('curl', 'curl');
  const h2load = findProgram('h2load', 'nghttp2-client');
  const folder = await mkdtemp(join(tmpdir(), 'ait-htdocs-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const body = randomBytes(SIZE);
  await writeFile(join(folder, 'large'), body);
  await writeFile(join(folder, 'small'), 'hello');
  const mesh = await meshBefore(t, await nghttpd(t, folder));
  const planner = mesh.agent('planner');
  const socket = planner.socketTo('researcher');
  const http2 = ['--silent', '--show-error', '--http2-prior-knowledge', '--unix-socket', socket];

  await t.test('50 MB down, byte for byte', async () => {
    const { code, stdout, stderr } = await run(curl, [...http2, 'http://researcher/large']);
    assert.equal(code, 0, stderr);
    assert.equal(sha256(stdout), sha256(body));
  });

  await t.test('50 MB up and back in one call, byte for byte', async () => {
    const args = [...http2, '--data-binary', `@${join(folder, 'large')}`, 'http://researcher/echo'];
    const { code, stdout, stderr } = await run(curl, args);
    assert.equal(code, 0, stderr);
    assert.equal(sha256(stdout), sha256(body));
  });

  await t.test('200 connections at once, ten calls on each: none fails', async () => {
    const { code, stdout, stderr } = await run(h2load, [
      '-n',
      '2000',
      '-c',
      '200',
      '-m',
      '5',
      '-t',
      '1',
      '-B',
      `unix:${socket}`,
      'http://researcher/small',
    ]);
    const text = stdout.toString();
    assert.equal(code, 0, text + stderr);
    assert.match(text, /requests: 2000 total, 2000 started, 2000 done, 2000 succeeded, 0 failed, 0 errored, 0 timeout/);
    assert.match(text, /status codes: 2000 2xx/);
  });

  await t.test('afterwards no connection is left, and one session carried them all', async () => {
    await pollUntil(
      () => planner.metric('ait_connections'),
      (open) => open === 0,
    );
    assert.equal(await planner.metric('ait_exchanges_total'), 1);
    assert.ok((await planner.metric('ait_connections_closed_total', { reason: 'finished' })) >= 200);
  });
});

test('HTTP/1.1 by curl, through two sidecars', async (t) => {
  const curl = findProgram('curl', 'curl');
  const folder = await mkdtemp(join(tmpdir(), 'ait-upload-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const file = join(folder, 'large');
  const body = randomBytes(SIZE);
  await writeFile(file, body);
  const server = createServer((request, response) => {
    if (request.url === '/echo') request.pipe(response);
    else request.socket.resetAndDestroy();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const mesh = await meshBefore(t, `127.0.0.1:${(server.address() as AddressInfo).port}`);
  const planner = mesh.agent('planner');
  const http1 = [
    '--silent',
    '--show-error',
    '--http1.1',
    '--unix-socket',
    planner.socketTo('researcher'),
    '-H',
    'Expect:',
  ];

  for (const [what, args] of [
    ['with its length', ['--data-binary', `@${file}`]],
    ['in chunks', ['--data-binary', `@${file}`, '-H', 'Transfer-Encoding: chunked']],
  ] as const) {
    await t.test(`50 MB up and back, ${what}, byte for byte`, async () => {
      const { code, stdout, stderr } = await run(curl, [...http1, ...args, 'http://researcher/echo']);
      assert.equal(code, 0, stderr);
      assert.equal(sha256(stdout), sha256(body));
    });
  }

  await t.test('a server that resets in the middle of 50 MB: the caller is told at once, and why', async () => {
    const { code, stdout, stderr } = await run(
      curl,
      [...http1, '--data-binary', `@${file}`, 'http://researcher/reset'],
      {
        deadlineMs: 20_000,
      },
    );
    assert.equal(code, 0, stderr);
    const problem = JSON.parse(stdout.toString()) as { readonly status: number; readonly code: string };
    assert.deepEqual([problem.status, problem.code], [503, 'UNAVAILABLE']);
    await pollUntil(
      () => planner.metric('ait_calls_inflight'),
      (open) => open === 0,
    );
    assert.equal((await planner.sessions()).length, 1, 'the session lives on');
  });
});

test('a server that answers 50 MB early and has no more to say: the answer and its end arrive, curl stops sending', async (t) => {
  const curl = findProgram('curl', 'curl');
  const folder = await mkdtemp(join(tmpdir(), 'ait-upload-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const file = join(folder, 'large');
  await writeFile(file, Buffer.alloc(SIZE));
  // A server that lingers, as it should: a reset could overtake what it has just said.
  const server = createTcpServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () =>
      socket.end('HTTP/1.1 413 Content Too Large\r\nconnection: close\r\ncontent-length: 9\r\n\r\ntoo much\n'),
    );
    socket.resume();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const mesh = await meshBefore(t, `127.0.0.1:${(server.address() as AddressInfo).port}`);
  const planner = mesh.agent('planner');
  const http1 = ['--silent', '--http1.1', '--unix-socket', planner.socketTo('researcher'), '-H', 'Expect:'];
  const args = [...http1, '--write-out', '%{http_code}', '--data-binary', `@${file}`, 'http://researcher/early'];
  const { code, stdout } = await run(curl, args, { deadlineMs: 20_000 });
  assert.notEqual(code, null, 'curl ended by itself');
  assert.match(stdout.toString(), /too much\n413$/);
  await pollUntil(
    () => planner.metric('ait_connections'),
    (open) => open === 0,
  );
});

test('a half-closed connection: 50 MB there, then its end, then 50 MB back, byte for byte', async (t) => {
  const mesh = await startMesh(t, { agents: { planner: { calls: ['researcher'] }, researcher: {} } });
  const [planner, researcher] = [mesh.agent('planner'), mesh.agent('researcher')];
  const body = randomBytes(SIZE);
  const connection = planner.connect('researcher');
  const { socket } = connection;
  const [hash, chunks] = [createHash('sha256'), { bytes: 0 }];
  socket.removeAllListeners('data');
  socket.on('data', (chunk: Buffer) => {
    hash.update(chunk);
    chunks.bytes += chunk.length;
  });
  socket.end(body);
  await once(socket, 'end');
  assert.equal(chunks.bytes, SIZE);
  assert.equal(hash.digest('hex'), sha256(body));
  assert.equal(sha256(researcher.app.received), sha256(body));
  await connection.closed;
  await pollUntil(
    () => planner.metric('ait_connections_closed_total', { reason: 'finished' }),
    (count) => count === 1,
  );
});
