import assert from 'node:assert/strict';
import { createServer, type ServerResponse } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { test, type TestContext } from 'node:test';
import { AgentHungUp, CallRefused } from '../../../../src/sidecar/inference/call-refused.ts';
import { EventBody } from '../../../../src/sidecar/inference/event-body.ts';
import { rejection } from '../../../../src/domain/rejection.ts';

const HEAD = { 'content-type': 'text/event-stream' };

/** An agent that has asked, in its version of HTTP, and what is to answer it. */
async function asked(t: TestContext, version = '1.1') {
  let take: (response: ServerResponse) => void = () => undefined;
  const answering = new Promise<ServerResponse>((resolve) => (take = resolve));
  const server = createServer((_request, response) => take(response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const agent = connect({ host: '127.0.0.1', port: (server.address() as AddressInfo).port, allowHalfOpen: true });
  t.after(() => {
    agent.destroy();
    server.closeAllConnections();
    server.close();
  });
  let text = '';
  agent.setEncoding('utf8').on('data', (piece: string) => (text += piece));
  agent.write(`GET / HTTP/${version}\r\nhost: x\r\n\r\n`);
  const response = await answering;
  /** What the agent has read, once the pattern fits it. */
  const reads = async (pattern: RegExp): Promise<string> => {
    while (!pattern.test(text)) await once(agent, 'data');
    return text;
  };
  return { agent, response, body: new EventBody(response), reads };
}

/** Writes until the agent's side of the connection is full. */
function fill(body: EventBody): void {
  body.begin(HEAD, 'first');
  const piece = 'x'.repeat(64 * 1024);
  while (body.write(piece));
}

test('each piece is a chunk of its own, counted in bytes, and the end is the last chunk', async (t) => {
  const { body, reads } = await asked(t);
  body.begin(HEAD, 'one');
  await reads(/one/);
  body.write('zwölf');
  body.write('three\r\n');
  body.end();
  const [head, rest] = split(await reads(/\r\n0\r\n\r\n$/));
  assert.match(head, /^HTTP\/1\.1 200 /);
  assert.match(head, /\r\ntransfer-encoding: chunked/i);
  assert.equal(head.match(/transfer-encoding/gi)?.length, 1);
  assert.equal(rest, '3\r\none\r\n6\r\nzwölf\r\n7\r\nthree\r\n\r\n0\r\n\r\n');
});

test('the next answer on the connection is whole, too', async (t) => {
  const { agent, response, body, reads } = await asked(t);
  const server = (response.socket as unknown as { server: ReturnType<typeof createServer> }).server;
  body.begin(HEAD, 'one');
  body.write('two');
  body.end();
  await reads(/0\r\n\r\n$/);
  server.removeAllListeners('request').on('request', (_request, next: ServerResponse) => void next.end('plain'));
  agent.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
  assert.match(await reads(/plain$/), /content-length: 5/i);
});

test('to an agent that speaks HTTP/1.0 the pieces go as they are, and the connection ends with them', async (t) => {
  const { agent, body, reads } = await asked(t, '1.0');
  body.begin(HEAD, 'one,');
  await reads(/one,$/);
  body.write('two');
  body.end();
  await once(agent, 'end');
  const [head, rest] = split(await reads(/two$/));
  assert.doesNotMatch(head, /transfer-encoding/i);
  assert.equal(rest, 'one,two');
});

test('an agent that does not read is waited for, until it does', async (t) => {
  const { agent, body, reads } = await asked(t);
  agent.pause();
  fill(body);
  const drained = body.drained(new AbortController().signal);
  agent.resume();
  await drained;
  body.write('last');
  body.end();
  await reads(/\r\n4\r\nlast\r\n0\r\n\r\n$/);
});

test('the wait for an agent ends with the call, and with the reason of its end', async (t) => {
  const { agent, body } = await asked(t);
  agent.pause();
  fill(body);
  const ending = new AbortController();
  const drained = body.drained(ending.signal);
  const reason = new CallRefused(rejection('INFERENCE_TIMEOUT', 'too long'));
  ending.abort(reason);
  await assert.rejects(drained, (error) => error === reason);
});

test('an agent that hangs up takes no more: not a throw, and whoever waits for it is told', async (t) => {
  const { agent, response, body } = await asked(t);
  const hungUp = new AbortController();
  response.once('close', () => hungUp.abort());
  body.begin(HEAD, 'one');
  agent.resetAndDestroy();
  await once(response, 'close');
  assert.equal(body.write('two'), false);
  await assert.rejects(body.drained(hungUp.signal), AgentHungUp);
});

function split(text: string): [head: string, rest: string] {
  const at = text.indexOf('\r\n\r\n');
  return [text.slice(0, at), text.slice(at + 4)];
}
