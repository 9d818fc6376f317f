import assert from 'node:assert/strict';
import { test } from 'node:test';
import { recognise } from '../../../src/dataplane/first-words.ts';
import { CLIENT_PREFACE } from '../../../src/dataplane/http2/protocol.ts';
import { frames } from '../../support/http2-bytes.ts';
import { readToEnd, tcpPair } from '../../support/tcp-pair.ts';

const SETTINGS = frames.settings();

for (const [words, protocol] of [
  [CLIENT_PREFACE, 'http2'],
  [Buffer.from('PRI '), 'http2'],
  [Buffer.from('PRX(* '), 'other'],
  [Buffer.from('CONNECT researcher.mesh:443 HTTP/1.1\r\n'), 'connect'],
  [Buffer.from('CONNECT [::1]:1 HTTP/1.1\r\n'), 'connect'],
  [Buffer.from('CONNECT {"verbose":true}\r\n'), 'other'],
  [Buffer.from('CONNECTED('), 'other'],
  [Buffer.from('connect a:1 HTTP/1.1\r\n'), 'http1'],
  [Buffer.of(22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3), 'tls'],
  [Buffer.of(22, 3), 'tls'],
  [Buffer.of(22, 4), 'other'],
  [Buffer.from('GET / HTTP/1.1\r\n'), 'http1'],
  [Buffer.from('x'), 'other'],
] as const) {
  const shown = JSON.stringify(words.toString('latin1'));
  test(`${shown} is ${protocol}, and all of it stays to be read`, async (t) => {
    const { near, far } = await tcpPair(t);
    const recognised = recognise(near);
    far.end(words);
    assert.equal(await recognised, protocol);
    assert.equal(await readToEnd(near), words.toString('latin1'));
  });
}

test('what could still become the one or the other waits for more', async (t) => {
  for (const [first, more, protocol] of [
    ['P', 'UT / HTTP/1.1', 'http1'],
    ['CONN', 'ECT a:1', 'connect'],
    ['\x16', '\x03\x01', 'tls'],
    ['\x16', 'x', 'other'],
  ] as const) {
    const { near, far } = await tcpPair(t);
    far.setNoDelay(true);
    let decided: string | undefined;
    const recognised = recognise(near).then((known) => (decided = known));
    far.write(first, 'latin1');
    while (near.bytesRead < first.length) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(decided, undefined, first);
    far.write(more, 'latin1');
    assert.equal(await recognised, protocol);
  }
});

test('a server that begins as HTTP/2 does decides, unless that is left to the client', async (t) => {
  const [client, server] = [await tcpPair(t), await tcpPair(t)];
  server.far.write(SETTINGS);
  assert.equal(await recognise(client.near, { server: server.near }), 'http2');

  const left = recognise(client.near, { server: server.near, clientDecides: true });
  client.far.write('CONNECT a:1');
  assert.equal(await left, 'connect');
  server.far.end();
  assert.equal(await readToEnd(server.near), SETTINGS.toString('latin1'), 'nothing of either was taken');
});

test('another server that begins decides in any case: its client may be waiting for it', async (t) => {
  const [client, server] = [await tcpPair(t), await tcpPair(t)];
  server.far.write('220 mail.example ESMTP\r\n');
  assert.equal(await recognise(client.near, { server: server.near, clientDecides: true }), 'other');
});

test('who ends without a word said nothing', async (t) => {
  const { near, far } = await tcpPair(t);
  far.end();
  assert.equal(await recognise(near), 'nothing');
});
