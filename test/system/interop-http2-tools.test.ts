import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { Daemon, findProgram, freePort, run } from '../support/debian-program.ts';
import { closed, ScriptedHttp2Server } from '../support/http2-exchange.ts';
import { meshBefore } from '../support/mesh-before.ts';
import { pollUntil } from '../support/poll-until.ts';
import { tcpBefore } from '../support/tcp-before.ts';

const MEGABYTE = 1024 * 1024;

async function folderWith(t: TestContext, files: Readonly<Record<string, Buffer>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'ait-interop-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
  return folder;
}

test('curl by prior knowledge, through two sidecars, to a server of Node.js', async (t) => {
  const curl = findProgram('curl', 'curl');
  const body = randomBytes(MEGABYTE);
  const folder = await folderWith(t, { body });
  const server = await ScriptedHttp2Server.start(t);
  const socket = await meshBefore(t, server.address);
  const args = ['--silent', '--show-error', '--http2-prior-knowledge', '--unix-socket', socket, '--include'];

  await t.test('GET, with headers and trailers of the answer', async () => {
    const done = run(curl, [...args, '-H', 'x-asked: yes', 'http://researcher/get?q=1']);
    const { stream, headers } = await server.streams.take();
    assert.equal(headers[':method'], 'GET');
    assert.equal(headers[':path'], '/get?q=1');
    assert.equal(headers[':authority'], 'researcher');
    assert.equal(headers['x-asked'], 'yes');
    stream.respond({ ':status': 200, 'x-answered': 'yes' }, { waitForTrailers: true });
    stream.once('wantTrailers', () => stream.sendTrailers({ 'x-trailer': 'behind' }));
    stream.end('the body\n');
    const { code, stdout, stderr } = await done;
    assert.equal(code, 0, stderr);
    assert.match(stdout.toString(), /^HTTP\/2 200 \r\n(.*\r\n)*x-answered: yes\r\n/);
    assert.match(stdout.toString(), /the body\nx-trailer: behind\r\n/);
  });

  await t.test('POST of 1 MB and the same back, with and without 100-continue', async () => {
    for (const expect of ['Expect:', 'Expect: 100-continue']) {
      const sent = ['-H', expect, '--data-binary', `@${join(folder, 'body')}`];
      const done = run(curl, [...args.filter((arg) => arg !== '--include'), ...sent, 'http://researcher/post']);
      const { stream, headers } = await server.streams.take();
      assert.equal(headers[':method'], 'POST');
      assert.equal(headers['content-length'], String(MEGABYTE));
      assert.equal(headers['expect'], expect === 'Expect:' ? undefined : '100-continue');
      if (headers['expect'] !== undefined) stream.additionalHeaders({ ':status': 100 });
      stream.respond({ ':status': 200 });
      stream.pipe(stream);
      const { code, stdout, stderr } = await done;
      assert.equal(code, 0, stderr);
      assert.ok(stdout.equals(body));
    }
  });

  await t.test('HEAD: a length, and no body', async () => {
    const done = run(curl, [...args, '--head', 'http://researcher/head']);
    const { stream, headers } = await server.streams.take();
    assert.equal(headers[':method'], 'HEAD');
    stream.respond({ ':status': 200, 'content-length': '4711' }, { endStream: true });
    const { code, stdout, stderr } = await done;
    assert.equal(code, 0, stderr);
    assert.match(stdout.toString(), /content-length: 4711\r\n/);
  });

  await t.test('an upload that is killed: the server is told', async () => {
    const child = spawn(curl, [...args, '-T', '-', 'http://researcher/upload'], {
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    t.after(() => child.kill('SIGKILL'));
    child.stdin.on('error', () => undefined);
    child.stdin.write('a part');
    const { stream, headers } = await server.streams.take();
    assert.equal(headers[':method'], 'PUT');
    const [part] = (await once(stream, 'data')) as [Buffer];
    assert.equal(part.toString(), 'a part');
    const over = closed(stream, 'the stream at the server');
    child.kill('SIGKILL');
    await over;
    assert.equal(stream.aborted, true);
  });
});

test('nghttp and h2load, through two sidecars, to nghttpd', async (t) => {
  const [nghttp, h2load] = [findProgram('nghttp', 'nghttp2-client'), findProgram('h2load', 'nghttp2-client')];
  const body = randomBytes(300_000);
  const folder = await folderWith(t, { body, small: Buffer.from('small') });
  const port = await freePort();
  const flags = ['--no-tls', '--echo-upload', '--address=127.0.0.1', '--workers=1', `--htdocs=${folder}`];
  new Daemon(t, findProgram('nghttpd', 'nghttp2-server'), [...flags, String(port)]);
  await pollUntil(
    () => canConnect(port),
    (listens) => listens,
  );
  const socket = await meshBefore(t, `127.0.0.1:${port}`);
  const bridge = await tcpBefore(t, socket);
  const file = join(folder, 'body');

  for (const [what, more] of [
    ['as it comes', []],
    ['with padding', ['--padding=255']],
    ['with tiny windows', ['--window-bits=8', '--connection-window-bits=16']],
    ['with the largest windows', ['--window-bits=30', '--connection-window-bits=30']],
    ['with no table of headers', ['--header-table-size=0', '--encoder-header-table-size=0']],
    ['with a table that shrinks and grows', ['--header-table-size=0', '--header-table-size=8K']],
    ['without pushes, with weights', ['--no-push', '--weight=1', '--weight=256']],
    ['with headers over several frames', ['--continuation']],
  ] as const) {
    await t.test(`nghttp, ${what}: a body back, and one there and back`, async () => {
      const got = await run(nghttp, [...more, `http://${bridge}/body`]);
      assert.equal(got.code, 0, got.stderr);
      assert.ok(got.stdout.equals(body), `${got.stdout.length} bytes came back`);
      const echoed = await run(nghttp, [...more, `--data=${file}`, `http://${bridge}/echo`]);
      assert.equal(echoed.code, 0, echoed.stderr);
      assert.ok(echoed.stdout.equals(body), `${echoed.stdout.length} bytes came back`);
    });
  }

  await t.test('nghttp, 50 streams on one connection: each has its own answer in good order', async () => {
    const { code, stdout, stderr } = await run(nghttp, ['-nv', '--no-push', '-m', '50', `http://${bridge}/small`]);
    assert.equal(code, 0, stderr);
    const text = stdout.toString();
    assert.equal(text.match(/recv \(stream_id=\d+\) :status: 200/g)?.length, 50);
    assert.equal(text.match(/recv DATA frame <length=5, flags=0x01, stream_id=\d+>/g)?.length, 50, text.slice(-3_000));
    assert.doesNotMatch(text, /recv RST_STREAM|recv PUSH_PROMISE/);
  });

  await t.test('h2load, 1,000 calls on 4 connections with 32 streams each: none fails', async () => {
    const load = ['-n', '1000', '-c', '4', '-m', '32', '-t', '1', '-B', `unix:${socket}`];
    const { code, stdout, stderr } = await run(h2load, [...load, 'http://researcher/small']);
    const text = stdout.toString();
    assert.equal(code, 0, text + stderr);
    assert.match(text, /requests: 1000 total, 1000 started, 1000 done, 1000 succeeded, 0 failed, 0 errored, 0 timeout/);
    assert.match(text, /status codes: 1000 2xx/);
    assert.match(text, /traffic: .* \(5000\) data/, 'the bodies, to the byte');
  });
});

function canConnect(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
