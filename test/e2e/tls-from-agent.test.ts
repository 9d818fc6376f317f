import assert from 'node:assert/strict';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { test } from 'node:test';
import { Client, credentials, status, type ServiceError } from '@grpc/grpc-js';
import OpenAI, { APIConnectionError } from 'openai';
import { startMesh } from '../support/mesh.ts';
import { plannerWithProvider } from '../support/model-mesh.ts';
import { runAit } from '../support/run-ait.ts';

/** What a real TLS client makes of whatever is behind this socket. */
function handshake(socket: Socket): Promise<NodeJS.ErrnoException> {
  return new Promise((resolve, reject) => {
    const client = connectTls({ socket, servername: 'researcher.mesh' }, () => reject(new Error('it was accepted')));
    client.once('error', resolve);
  });
}

/** Everything that is said to a client that begins TLS and then reads what comes. */
function answerTo(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    let said = '';
    socket.setEncoding('latin1');
    socket.on('error', () => undefined);
    socket.on('data', (text: string) => (said += text));
    socket.once('close', () => resolve(said));
    socket.write(Buffer.from('160301006b01000067030300', 'hex'));
  });
}

test('TLS that an agent begins itself is refused with what to change, at every way in', async (t) => {
  const mesh = await startMesh(t, {
    agents: {
      planner: { calls: ['researcher'], config: { outbound: { listen: '127.0.0.1:0' } } },
      researcher: {},
    },
  });
  const [planner, researcher] = [mesh.agent('planner'), mesh.agent('researcher')];
  const { outbound } = planner.addresses as unknown as { outbound: string };
  const [host = '', port] = outbound.split(':');
  const atCommonPort = () => connectTcp({ host, port: Number(port) });
  const atPeersSocket = () => connectTcp({ path: planner.socketTo('researcher') });
  const inTunnel = () =>
    new Promise<Socket>((resolve) => {
      const socket = atCommonPort();
      socket.write('CONNECT researcher.mesh:443 HTTP/1.1\r\nHost: researcher.mesh:443\r\n\r\n');
      socket.once('data', () => {
        socket.removeAllListeners();
        resolve(socket);
      });
    });

  for (const [where, open] of [
    ['the common port', async () => atCommonPort()],
    ["the peer's socket", async () => atPeersSocket()],
    ['a CONNECT', inTunnel],
  ] as const) {
    await t.test(`${where}: a client reports a wrong version, as of any port without TLS`, async () => {
      const from = planner.sidecar.mark();
      assert.equal((await handshake(await open())).code, 'ERR_SSL_WRONG_VERSION_NUMBER');
      const line = await planner.waitForVerdict({ code: 'TLS_FROM_AGENT' }, { from });
      assert.match(String(line['action']), /http:\/\//);
      assert.equal(line['direction'], 'outbound');
    });

    await t.test(`${where}: whoever looks at the bytes reads the reason`, async () => {
      const answer = await answerTo(await open());
      assert.match(answer, /^HTTP\/1\.1 400 Bad Request\r\n/);
      const problem = JSON.parse(answer.slice(answer.indexOf('\r\n\r\n'))) as Record<string, string>;
      assert.equal(problem['code'], 'TLS_FROM_AGENT');
      assert.match(problem['action'] ?? '', /insecure channel credentials for gRPC/);

      const { code, output } = await runAit([
        'explain',
        '--id',
        problem['correlation_id'] ?? '',
        '--admin',
        planner.addresses.admin,
      ]);
      assert.equal(code, 0, output);
      assert.match(output, /TLS_FROM_AGENT/);
      assert.match(output, /insecure channel credentials/);
    });
  }

  await t.test('a gRPC client with channel credentials for TLS', async () => {
    const bytes = (buffer: Buffer) => buffer;
    const client = new Client(outbound, credentials.createSsl(), { 'grpc.default_authority': 'researcher.mesh' });
    const error = await new Promise<ServiceError | null>((resolve) => {
      const deadline = Date.now() + 5000;
      client.makeUnaryRequest('/a/B', bytes, bytes, Buffer.from('x'), { deadline }, (failed) => resolve(failed));
    });
    client.close();
    assert.equal(error?.code, status.UNAVAILABLE);
    assert.match(error?.details ?? '', /wrong version number/i);
  });

  await t.test('not a byte reached the agent that was called, and all of it is counted', async () => {
    assert.equal(researcher.app.received.length, 0);
    const counted = await planner.metric('ait_connections_refused_total', { reason: 'TLS_FROM_AGENT' });
    assert.ok(counted >= 7, `${counted}`);
    assert.equal(await planner.call('researcher', 'raw bytes'), 'raw bytes');
  });
});

for (const where of ['a unix socket', 'a loopback port'] as const) {
  test(`so is TLS at the inference port, ${where}`, async (t) => {
    const { planner, model } = await plannerWithProvider(t, {
      ...(where === 'a loopback port' && { inference: { listen: '127.0.0.1:0' } }),
    });
    const { inference } = planner.addresses as unknown as { inference: string };
    const [host = '', port] = inference.split(':');
    const isSocket = inference.startsWith('unix:');
    assert.equal(isSocket, where === 'a unix socket');
    const open = () =>
      isSocket ? connectTcp({ path: inference.slice('unix:'.length) }) : connectTcp({ host, port: Number(port) });

    await t.test('a client reports a wrong version, and the sidecar what to change', async () => {
      const from = planner.sidecar.mark();
      assert.equal((await handshake(open())).code, 'ERR_SSL_WRONG_VERSION_NUMBER');
      const line = await planner.waitForVerdict({ code: 'TLS_FROM_AGENT' }, { from });
      assert.match(String(line['action']), /http:\/\//);
      assert.deepEqual([line['direction'], line['remoteAddress']], ['outbound', inference]);
    });
    await t.test('whoever looks at the bytes reads the reason, and `explain` knows it', async () => {
      const answer = await answerTo(open());
      assert.match(answer, /^HTTP\/1\.1 400 Bad Request\r\n/);
      const { error } = JSON.parse(answer.slice(answer.indexOf('\r\n\r\n'))) as { error: Record<string, string> };
      assert.deepEqual([error['code'], error['type']], ['TLS_FROM_AGENT', 'ait_mesh']);
      assert.match(error['message'] ?? '', /http:\/\/, not https:\/\//);
      const id = error['correlation_id'] ?? '';
      const { code, output } = await runAit(['explain', '--id', id, '--admin', planner.addresses.admin]);
      assert.equal(code, 0, output);
      assert.match(output, /TLS_FROM_AGENT/);
      assert.match(output, /http:\/\//);
    });
    if (!isSocket) {
      await t.test('the official client, told https://, gets an error and not a hang', async () => {
        const client = new OpenAI({ baseURL: `https://${inference}/v1`, apiKey: 'nobody', maxRetries: 0 });
        const messages = [{ role: 'user' as const, content: 'Hello?' }];
        await assert.rejects(client.chat.completions.create({ model: 'large', messages }), APIConnectionError);
      });
    }
    await t.test('all of it is counted, and nothing went to the model', async () => {
      const counted = await planner.metric('ait_connections_refused_total', { reason: 'TLS_FROM_AGENT' });
      assert.equal(counted, isSocket ? 2 : 3);
      assert.equal(model.questions.length, 0);
    });
  });
}
