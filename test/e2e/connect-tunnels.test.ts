import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, request, type IncomingMessage } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { Client, credentials, status, type ServiceError } from '@grpc/grpc-js';
import { ScriptedHttp2Server, type TakenStream } from '../support/http2-exchange.ts';
import { startMesh } from '../support/mesh.ts';
import type { TestAgent } from '../support/test-agent.ts';

type Where = { readonly host: string; readonly port: number } | { readonly path: string };

/** What a proxy answered to a CONNECT, and the connection behind it. */
interface Answered {
  readonly response: IncomingMessage;
  readonly socket: Socket;
  readonly problem: Record<string, unknown>;
}

function place(address: string): Where {
  if (address.startsWith('unix:')) return { path: address.slice('unix:'.length) };
  const [host = '', port] = address.split(':');
  return { host, port: Number(port) };
}

/** As any HTTP client does it whose proxy is at this address. */
function askTunnel(address: string, authority: string, headers: Record<string, string> = {}): Promise<Answered> {
  const where = place(address);
  const to = 'path' in where ? { socketPath: where.path } : where;
  return new Promise((resolve, reject) => {
    const asked = request({ ...to, method: 'CONNECT', path: authority, headers: { host: authority, ...headers } });
    asked.once('error', reject);
    asked.once('connect', (response, socket: Socket, head: Buffer) => {
      socket.on('error', () => undefined);
      if (response.statusCode === 200) {
        resolve({ response, socket, problem: {} });
        return;
      }
      const chunks: Buffer[] = [head];
      socket.on('data', (chunk: Buffer) => chunks.push(chunk));
      socket.once('close', () => {
        const problem = JSON.parse(Buffer.concat(chunks).toString()) as Record<string, unknown>;
        resolve({ response, socket, problem });
      });
    });
    asked.end();
  });
}

async function echoed(socket: Socket, text: string): Promise<string> {
  socket.write(text);
  let said = '';
  while (said.length < text.length) said += String(((await once(socket, 'data')) as [Buffer])[0]);
  return said;
}

/** `planner` reaches at one port: `researcher` (HTTP/2), `page` (HTTP/1.1), `echo` (raw bytes), `absent` (not there). */
async function startWorld(t: TestContext) {
  const taken: TakenStream[] = [];
  const researcher = await ScriptedHttp2Server.start(t);
  researcher.onStream = (each) => {
    taken.push(each);
    each.stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    each.stream.once('wantTrailers', () => each.stream.sendTrailers({ 'grpc-status': '0' }));
    each.stream.end(Buffer.from([0, 0, 0, 0, 0]));
  };
  const asked: IncomingMessage[] = [];
  const page = createServer((incoming, response) => {
    asked.push(incoming);
    response.end(`${incoming.headers.host}${incoming.url}`);
  }).listen(0, '127.0.0.1');
  await once(page, 'listening');
  t.after(() => page.closeAllConnections());
  t.after(() => page.close());
  const mesh = await startMesh(t, {
    agents: {
      planner: {
        calls: ['researcher', 'page', 'echo', 'absent'],
        config: { outbound: { listen: '127.0.0.1:0' } },
      },
      researcher: { app: false, config: { app: { address: researcher.address } } },
      page: { app: false, config: { app: { address: `127.0.0.1:${(page.address() as AddressInfo).port}` } } },
      echo: {},
      absent: { app: false, start: false },
    },
  });
  const planner = mesh.agent('planner');
  const { outbound: common } = planner.addresses as unknown as { outbound: string };
  return { mesh, planner, common, taken, asked, ofPeer: (peer: string) => `unix:${planner.socketTo(peer)}` };
}

test('a CONNECT to a peer makes a connection to that peer, at the common port and at its own', async (t) => {
  const world = await startWorld(t);
  const { planner, common, taken, asked, ofPeer } = world;

  await t.test('grpc-js with nothing but grpc_proxy and the name of the agent', async () => {
    process.env['grpc_proxy'] = `http://${common}`;
    t.after(() => delete process.env['grpc_proxy']);
    const bytes = (buffer: Buffer) => buffer;
    const call = (target: string) =>
      new Promise<ServiceError | null>((resolve) => {
        const client = new Client(target, credentials.createInsecure(), { 'grpc.use_local_subchannel_pool': 1 });
        const deadline = Date.now() + 5000;
        client.makeUnaryRequest('/interop.Test/Unary', bytes, bytes, Buffer.from('x'), { deadline }, (error) => {
          client.close();
          resolve(error);
        });
      });
    for (const target of ['researcher.mesh:443', 'researcher.mesh:50051', 'researcher.mesh', 'researcher:80']) {
      const before = taken.length;
      assert.equal(await call(target), null, target);
      assert.equal(taken.length, before + 1);
    }
    const from = planner.sidecar.mark();
    assert.equal((await call('nobody.mesh:443'))?.code, status.UNAVAILABLE);
    await planner.waitForVerdict({ code: 'PROXY_TARGET_UNKNOWN' }, { from });
    delete process.env['grpc_proxy'];
  });

  for (const [where, address] of [
    ['the common port', () => common],
    ["the peer's own socket", () => ofPeer('page')],
  ] as const) {
    await t.test(`HTTP/1.1 in the tunnel, at ${where}: one connection for several requests`, async () => {
      const { socket } = await askTunnel(address(), 'page.mesh:80', { 'Proxy-Authorization': 'Basic c2VjcmV0' });
      const get = (path: string) =>
        new Promise<string>((resolve, reject) => {
          const asking = request(
            { createConnection: () => socket, headers: { host: 'page.mesh' }, path },
            (response) => {
              response.setEncoding('utf8');
              response.once('data', resolve);
            },
          );
          asking.once('error', reject);
          asking.end();
        });
      const before = asked.length;
      assert.equal(await get('/one'), 'page.mesh/one');
      assert.equal(asked.length, before + 1);
      assert.equal(asked.at(-1)?.headers['proxy-authorization'], undefined, 'what was for the proxy stays there');
      socket.destroy();
    });
  }

  for (const [where, address] of [
    ['the common port', () => common],
    ["the peer's own socket", () => ofPeer('echo')],
  ] as const) {
    await t.test(`raw bytes in the tunnel, at ${where}`, async () => {
      const { socket } = await askTunnel(address(), 'echo.mesh:7');
      assert.equal(await echoed(socket, 'raw bytes'), 'raw bytes');
      socket.destroy();
    });
  }

  for (const [what, address, authority, known] of [
    [
      'a name nobody has',
      () => common,
      'nobody.mesh:443',
      ['absent.mesh', 'echo.mesh', 'page.mesh', 'researcher.mesh'],
    ],
    ['the world', () => common, 'api.example:443', ['absent.mesh', 'echo.mesh', 'page.mesh', 'researcher.mesh']],
    ['this machine', () => common, '127.0.0.1:17102', ['absent.mesh', 'echo.mesh', 'page.mesh', 'researcher.mesh']],
    ['another peer than the one of the socket', () => ofPeer('echo'), 'page.mesh:80', ['echo.mesh']],
  ] as const) {
    await t.test(`${what}: 404 with the names that are known, and on record`, async () => {
      const from = planner.sidecar.mark();
      const reached = asked.length;
      const { response, problem } = await askTunnel(address(), authority);
      assert.equal(response.statusCode, 404);
      assert.equal(response.headers['content-type'], 'application/problem+json');
      assert.deepEqual([problem['code'], problem['known_names']], ['PROXY_TARGET_UNKNOWN', known]);
      const line = await planner.waitForVerdict({ code: 'PROXY_TARGET_UNKNOWN' }, { from });
      assert.equal(line['correlationId'], problem['correlation_id']);
      assert.equal(asked.length, reached);
    });
  }

  await t.test('a peer that cannot be had: 503 before there is a tunnel', async () => {
    const { response, problem } = await askTunnel(common, 'absent.mesh:443');
    assert.deepEqual([response.statusCode, problem['code']], [503, 'PEER_ADDRESS_UNKNOWN']);
  });

  await t.test('a Host that names another peer, and a CONNECT in a tunnel: 400', async () => {
    const crossed = await askTunnel(common, 'page.mesh:80', { host: 'echo.mesh:80' });
    assert.deepEqual([crossed.response.statusCode, crossed.problem['code']], [400, 'HTTP1_MALFORMED']);
    const { socket } = await askTunnel(common, 'echo.mesh:7');
    const answer = await echoed(socket, 'CONNECT page.mesh:80 HTTP/1.1\r\n\r\n');
    assert.match(answer, /^HTTP\/1\.1 400 /);
    socket.destroy();
  });

  await t.test('half a CONNECT, and then nothing: the connection ends, the others go on', async () => {
    const socket = connect(place(common) as { host: string; port: number });
    socket.write('CONNECT page.mesh:80 HTTP/1.1\r\nHost: pa');
    assert.equal(await planner.call('echo', 'raw bytes'), 'raw bytes');
    const [answer] = (await once(socket, 'data')) as [Buffer];
    assert.match(answer.toString(), /^HTTP\/1\.1 408 /);
    socket.destroy();
  });

  await t.test('it is counted', async () => {
    const counted = (agent: TestAgent) =>
      agent.metric('ait_connections_refused_total', { direction: 'outbound', reason: 'PROXY_TARGET_UNKNOWN' });
    // gRPC tries again by itself.
    assert.ok((await counted(planner)) >= 5);
  });

  await t.test('drift cuts what is open in a tunnel, and the next one is refused for it', async () => {
    const { socket } = await askTunnel(common, 'echo.mesh:7');
    assert.equal(await echoed(socket, 'raw bytes'), 'raw bytes');
    // By a reset, which is an error to it.
    const closed = new Promise((resolve) => socket.once('close', resolve));
    await planner.files.writePrompt('Another one.');
    await closed;
    const { response, problem } = await askTunnel(common, 'echo.mesh:7');
    assert.deepEqual([response.statusCode, problem['code']], [403, 'SYSTEM_PROMPT_DRIFT']);
  });
});
