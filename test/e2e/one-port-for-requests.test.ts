import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { startMesh } from '../support/mesh.ts';
import { RawHttp1, RawHttp1Server, type RawAnswer } from '../support/raw-http1.ts';

const get = (target: string, host: string, more = '') => `GET ${target} HTTP/1.1\r\nHost: ${host}\r\n${more}\r\n`;

/** `planner` reaches `researcher` and `writer`, which speak HTTP/1.1, at one port, and `absent`, which is not there. */
async function startWorld(t: TestContext) {
  const serve = async (name: string) => {
    const server = await RawHttp1Server.start(t);
    const answer = `HTTP/1.1 200 OK\r\nx-answered-by: ${name}\r\ncontent-length: 2\r\n\r\nok`;
    server.onRequest = ({ socket }) => socket.write(answer);
    return server;
  };
  const servers = { researcher: await serve('researcher'), writer: await serve('writer') };
  const appOf = (name: keyof typeof servers) => ({ app: false, config: { app: { address: servers[name].address } } });
  const mesh = await startMesh(t, {
    agents: {
      planner: { calls: ['researcher', 'writer', 'absent'], config: { outbound: { listen: '127.0.0.1:0' } } },
      researcher: appOf('researcher'),
      writer: appOf('writer'),
      absent: { app: false, start: false },
    },
  });
  const planner = mesh.agent('planner');
  const { outbound } = planner.addresses as unknown as { outbound: string };
  const [host = '', port] = outbound.split(':');
  const taken = () => servers.researcher.taken.length + servers.writer.taken.length;
  const open = () => new RawHttp1({ host, port: Number(port) });
  /** One request on a connection of its own. */
  const ask = async (text: string, connection = open()): Promise<RawAnswer> => {
    try {
      return await connection.write(text).answer();
    } finally {
      connection.socket.destroy();
    }
  };
  const ofResearcher = () => new RawHttp1({ path: planner.socketTo('researcher') });
  return { planner, servers, taken, open, ask, ofResearcher };
}

const KNOWN = ['absent.mesh', 'researcher.mesh', 'writer.mesh'];

test('at one port each request of HTTP/1.1 goes to the peer that it names, by Host or as to a proxy', async (t) => {
  const { planner, servers, taken, open, ask, ofResearcher } = await startWorld(t);

  for (const [target, host, peer] of [
    ['/', 'researcher.mesh', 'researcher'],
    ['/', 'researcher', 'researcher'],
    ['/', 'Writer.MESH:17001', 'writer'],
    ['http://researcher.mesh/x?y=1', 'researcher.mesh', 'researcher'],
    ['http://writer.mesh:80/', 'writer.mesh:80', 'writer'],
    ['HTTP://writer/', 'writer', 'writer'],
  ] as const) {
    await t.test(`${target} with Host ${host}: ${peer}`, async () => {
      const before = servers[peer].taken.length;
      const answer = await ask(get(target, host, 'Proxy-Authorization: Basic c2VjcmV0\r\n'));
      assert.deepEqual([answer.status, answer.header('x-answered-by')], [200, peer]);
      const request = servers[peer].taken[before];
      // A server of HTTP/1.1 gets a path, whatever the client said to its proxy.
      assert.match(request?.line ?? '', /^GET \/\S* HTTP\/1\.1$/);
      assert.doesNotMatch(servers[peer].bytes.toString('latin1'), /proxy-authorization/i);
    });
  }

  await t.test('a connection that goes on with another name: each request to its own peer, in order', async () => {
    const connection = open();
    const names = ['researcher', 'writer', 'writer', 'researcher', 'nobody', 'writer'];
    const answers: string[] = [];
    for (const name of names) {
      const answer = await connection.write(get(`http://${name}.mesh/`, `${name}.mesh`)).answer();
      answers.push(answer.header('x-answered-by') || answer.header('x-ait-refused'));
    }
    assert.deepEqual(answers, ['researcher', 'writer', 'writer', 'researcher', 'PROXY_TARGET_UNKNOWN', 'writer']);
    // The same at once, none waiting for the one before.
    connection.write(['writer', 'researcher', 'writer'].map((name) => get('/', `${name}.mesh`)).join(''));
    const together = [await connection.answer(), await connection.answer(), await connection.answer()];
    assert.deepEqual(
      together.map((answer) => answer.header('x-answered-by')),
      ['writer', 'researcher', 'writer'],
    );
    connection.socket.destroy();
  });

  for (const [target, host, status, code] of [
    ['/', 'nobody.mesh', 421, 'AUTHORITY_MISDIRECTED'],
    ['/', '127.0.0.1:17001', 421, 'AUTHORITY_MISDIRECTED'],
    ['/', 'planner.mesh', 421, 'AUTHORITY_MISDIRECTED'],
    ['http://nobody.mesh/', 'nobody.mesh', 404, 'PROXY_TARGET_UNKNOWN'],
    ['http://api.example/v1', 'api.example', 404, 'PROXY_TARGET_UNKNOWN'],
    ['http://169.254.169.254/latest/meta-data', '169.254.169.254', 404, 'PROXY_TARGET_UNKNOWN'],
  ] as const) {
    await t.test(`${target} with Host ${host}: ${status}, with the names that are known, and on record`, async () => {
      const [before, from] = [taken(), planner.sidecar.mark()];
      const answer = await ask(get(target, host));
      assert.equal(answer.status, status);
      const problem = answer.problem() as unknown as Record<string, unknown>;
      assert.deepEqual([problem['code'], problem['known_names']], [code, KNOWN]);
      assert.equal(answer.header('x-ait-known-names'), KNOWN.join(', '));
      const line = await planner.waitForVerdict({ code }, { from });
      assert.equal(line['correlationId'], problem['correlation_id']);
      assert.equal(taken(), before);
    });
  }

  for (const [what, request] of [
    ['a target and a Host that differ', get('http://researcher.mesh/', 'writer.mesh')],
    ['Host twice', get('/', 'researcher.mesh', 'Host: writer.mesh\r\n')],
    ['no Host', 'GET / HTTP/1.1\r\n\r\n'],
    ['a target with user information', get('http://writer.mesh@researcher.mesh/', 'researcher.mesh')],
    ['another scheme', get('ftp://researcher.mesh/', 'researcher.mesh')],
    ['TLS asked of a proxy', get('https://researcher.mesh/', 'researcher.mesh')],
  ] as const) {
    await t.test(`${what}: 400, and nobody hears of it`, async () => {
      const before = taken();
      assert.equal((await ask(request)).status, 400);
      assert.equal(taken(), before);
    });
  }

  await t.test('a peer that cannot be had: 503 with the reason, and the connection goes on with others', async () => {
    const connection = open();
    const gone = await connection.write(get('/', 'absent.mesh')).answer();
    assert.deepEqual([gone.status, gone.problem().code], [503, 'PEER_ADDRESS_UNKNOWN']);
    assert.equal((await connection.write(get('/', 'writer.mesh')).answer()).header('x-answered-by'), 'writer');
    connection.socket.destroy();
  });

  await t.test("at the peer's own socket: as its proxy for that very peer, and for no other", async () => {
    for (const [target, host, status] of [
      ['/', 'localhost', 200],
      ['/', 'writer.mesh', 200],
      ['http://researcher.mesh/', 'researcher.mesh', 200],
      ['http://researcher/', 'researcher', 200],
      ['http://writer.mesh/', 'writer.mesh', 404],
      ['http://localhost/', 'localhost', 404],
    ] as const) {
      const before = servers.writer.taken.length;
      const answer = await ask(get(target, host), ofResearcher());
      assert.equal(answer.status, status, `${target} ${host}`);
      if (status === 404) assert.equal(answer.header('x-ait-known-names'), 'researcher.mesh');
      else assert.equal(answer.header('x-answered-by'), 'researcher');
      assert.equal(servers.writer.taken.length, before);
    }
  });

  await t.test('nothing of it could be read in another way', () => {
    assert.deepEqual([...servers.researcher.problems, ...servers.writer.problems], []);
  });
});

test('a page in a browser gets nowhere through a loopback port, whatever it names; a unix socket is no way for one', async (t) => {
  const { planner, taken, ask, ofResearcher } = await startWorld(t);
  const before = taken();
  for (const mark of [
    'Origin: http://evil.example',
    'Origin: null',
    'Sec-Fetch-Site: same-origin',
    'sec-fetch-site: x',
  ]) {
    const answer = await ask(get('/', 'researcher.mesh', `${mark}\r\n`));
    assert.deepEqual([answer.status, answer.problem().code], [403, 'PAGE_REFUSED'], mark);
  }
  assert.equal(taken(), before);
  await planner.waitForVerdict({ code: 'PAGE_REFUSED' });
  assert.equal(
    (await ask(get('/', 'researcher.mesh', 'Sec-Fetch-Site: none\r\nSec-Fetch-Mode: cors\r\n'))).status,
    200,
  );
  const atSocket = await ask(get('/', 'researcher', 'Origin: http://agent.example\r\n'), ofResearcher());
  assert.equal(atSocket.status, 200);
});
