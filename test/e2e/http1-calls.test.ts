import assert from 'node:assert/strict';
import { Agent, get as httpGet } from 'node:http';
import { test } from 'node:test';
import { Http1Mesh } from '../support/http1-mesh.ts';
import { pollUntil } from '../support/poll-until.ts';
import { OK, type TakenRequest } from '../support/raw-http1.ts';
import { valuesOf } from '../support/strict-http1.ts';

const get = (path: string, more = '') => `GET ${path} HTTP/1.1\r\nHost: researcher\r\n${more}\r\n`;

test('HTTP/1.1 through two sidecars, as callers and callees speak it', async (t) => {
  const world = await Http1Mesh.start(t);
  const { server, planner, researcher } = world;
  const answer = (how: (request: TakenRequest) => void = ({ socket }) => socket.write(OK)) => {
    server.onRequest = how;
    server.onHead = () => undefined;
  };

  await t.test('the callee is told who calls, and whatever the caller says of that is not passed on', async () => {
    await world.call('/who?q=1', {
      headers: { 'X-Ait-Peer-Agent': 'admin', x_ait_peer_agent: 'admin', traceparent: 'x' },
    });
    const { line, headers } = server.taken.at(-1)!;
    assert.equal(line, 'GET /who?q=1 HTTP/1.1');
    assert.deepEqual(valuesOf(headers, 'x-ait-peer-agent'), ['planner']);
    assert.match(valuesOf(headers, 'x-ait-peer-spiffe-id')[0] ?? '', /^spiffe:\/\/.*\/agent\/planner$/);
    assert.equal(valuesOf(headers, 'x_ait_peer_agent').length, 0);
    assert.match(valuesOf(headers, 'traceparent').join(), /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
  });

  await t.test('connections are kept and shared: many callers, one data connection', async () => {
    for (let round = 0; round < 5; round += 1) assert.equal((await world.call('/again')).status, 200);
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    for (let round = 0; round < 5; round += 1) {
      const options = { socketPath: planner.socketTo('researcher'), path: '/kept', agent };
      const status = await new Promise((resolve) =>
        httpGet(options, (found) => found.resume().once('end', () => resolve(found.statusCode))),
      );
      assert.equal(status, 200);
    }
    agent.destroy();
    const [session] = await planner.sessions();
    assert.equal(session?.connections, 1);
    assert.equal(new Set(server.taken.map(({ connection }) => connection)).size, 1);
  });

  await t.test('a callee that closes what is idle is no trouble', async () => {
    for (const socket of server.sockets) socket.end();
    const body = 'not to be lost';
    assert.equal((await world.call('/after', { method: 'POST', body })).status, 200);
    assert.equal(server.taken.at(-1)?.body.toString(), body);
  });

  await t.test('chunks, trailers and bodies of megabytes pass both ways', async () => {
    const big = Buffer.alloc(3_000_000, 'abcdefgh');
    answer(({ socket, body, trailers }) => {
      const head = 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n';
      socket.write(`${head}${body.length.toString(16)}\r\n`);
      socket.write(body);
      socket.write(`\r\n0\r\nx-had: ${trailers.map(([name]) => name).join()}\r\n\r\n`);
    });
    const caller = world
      .connect()
      .write(
        `POST /big HTTP/1.1\r\nHost: a\r\nContent-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n\r\n`,
      );
    caller
      .write(`${big.length.toString(16)}\r\n`)
      .write(big)
      .write('\r\n0\r\nX-Sum: 1\r\n\r\n');
    const whole = await caller.answer();
    assert.ok(whole.body.equals(big));
    assert.deepEqual(whole.trailers, [['x-had', 'X-Sum']]);
    caller.socket.destroy();
    answer();
  });

  await t.test('a server-sent event arrives before the next is written', async () => {
    answer(({ socket }) =>
      socket.write('HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n'),
    );
    const caller = world.connect().write(get('/events'));
    await caller.until('text/event-stream');
    for (const event of ['data: 1\n\n', 'data: 2\n\n', 'data: 3\n\n']) {
      server.taken.at(-1)!.socket.write(`${event.length.toString(16)}\r\n${event}\r\n`);
      await caller.until(event);
    }
    caller.socket.destroy();
    answer();
  });

  await t.test('a caller may wait for a 100', async () => {
    server.onHead = (_head, socket) => socket.write('HTTP/1.1 100 Continue\r\n\r\n');
    const caller = world
      .connect()
      .write('POST /wait HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n');
    assert.equal((await caller.answer()).status, 100);
    assert.equal((await caller.write('body').answer()).status, 200);
    caller.socket.destroy();
    answer();
  });

  await t.test('HEAD, 204, 304 and an answer that ends with its connection', async () => {
    const caller = world.connect();
    for (const [request, bytes, status] of [
      [`HEAD /h HTTP/1.1\r\nHost: a\r\n\r\n`, 'HTTP/1.1 200 OK\r\ncontent-length: 77\r\n\r\n', 200],
      [get('/204'), 'HTTP/1.1 204 No Content\r\n\r\n', 204],
      [get('/304'), 'HTTP/1.1 304 Not Modified\r\ncontent-length: 77\r\n\r\n', 304],
    ] as const) {
      answer(({ socket }) => socket.write(bytes));
      assert.equal((await caller.write(request).answer({ isBodiless: true })).status, status);
    }
    answer(({ socket }) => socket.end('HTTP/1.1 200 OK\r\n\r\nto the end'));
    assert.equal((await caller.write(get('/close')).answer()).body.toString(), 'to the end');
    answer();
    assert.equal((await caller.write(get('/next')).answer()).status, 200, 'the connection of the caller is kept');
    caller.socket.destroy();
  });

  await t.test('a caller that goes away is gone for the callee', async () => {
    answer(() => undefined);
    const cancelled = () => researcher.metric('ait_calls_total', { direction: 'inbound', code: 'cancelled' });
    const before = await cancelled();
    const caller = world.connect().write(get('/gone'));
    await pollUntil(
      () => server.taken.at(-1)?.line ?? '',
      (line) => line.includes('/gone'),
    );
    const { socket } = server.taken.at(-1)!;
    const closed = new Promise((resolve) => socket.once('close', resolve));
    caller.socket.destroy();
    await closed;
    answer();
    await pollUntil(cancelled, (count) => count === before + 1);
  });

  await t.test('a callee that breaks off: the caller does not take it for whole', async () => {
    answer(({ socket }) => {
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf', () => socket.destroy());
    });
    const caller = world.connect().write(get('/half'));
    await caller.closed;
    assert.ok(caller.received.length === 0 || caller.received.includes('half'));
    await assert.rejects(caller.answer());
    answer(({ socket }) => socket.destroy());
    const lost = await world.call('/lost');
    assert.equal(lost.status, 503);
    answer();
  });

  await t.test('upgrades are refused by name, and an offer of HTTP/2 is read over', async () => {
    const before = server.taken.length;
    const refused = await world.connect().write(get('/ws', 'Connection: Upgrade\r\nUpgrade: websocket\r\n')).answer();
    assert.deepEqual([refused.status, refused.problem().code], [501, 'UPGRADE_REFUSED']);
    assert.equal(server.taken.length, before);
    const offered = await world
      .connect()
      .write(get('/h2c', 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n'))
      .answer();
    assert.equal(offered.status, 200);
  });

  await t.test('HTTP/1.0 is answered as it expects', async () => {
    const caller = world.connect().write('GET /old HTTP/1.0\r\nHost: a\r\n\r\n');
    assert.equal((await caller.answer()).status, 200);
    await caller.closed;
  });
});
