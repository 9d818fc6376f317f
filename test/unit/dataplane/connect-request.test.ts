import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { takeConnect, type ConnectResult } from '../../../src/dataplane/connect-request.ts';
import { readToEnd, tcpPair } from '../../support/tcp-pair.ts';

const LIMITS = { maxBytes: 1000, withinMs: 10_000 };
const HEAD = 'CONNECT Researcher.mesh:443 HTTP/1.1\r\nHost: researcher.mesh:443\r\n\r\n';

function codeOf(result: ConnectResult): string {
  if (result.ok) return result.authority;
  return 'gone' in result ? 'gone' : result.rejection.code;
}

test('the head is taken, and what comes behind it is left for whoever is at the other end', async (t) => {
  const { near, far } = await tcpPair(t);
  far.end(`${HEAD}PRI * HTTP/2.0\r\n\r\n`);
  const result = await takeConnect(near, LIMITS);
  assert.deepEqual(result, { ok: true, authority: 'researcher.mesh:443', host: 'researcher.mesh:443' });
  assert.equal(await readToEnd(near), 'PRI * HTTP/2.0\r\n\r\n');
});

test('a head that comes octet by octet', async (t) => {
  const { near, far } = await tcpPair(t);
  const taken = takeConnect(near, LIMITS);
  for (const octet of HEAD) {
    far.write(octet);
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal(codeOf(await taken), 'researcher.mesh:443');
});

for (const [what, text, code] of [
  ['another method', HEAD.replace('CONNECT', 'CONNECTED'), 'HTTP1_MALFORMED'],
  ['no port', HEAD.replace('mesh:443 ', 'mesh '), 'HTTP1_MALFORMED'],
  ['an absolute target', HEAD.replace('Researcher.mesh:443', 'http://researcher.mesh:443/'), 'HTTP1_MALFORMED'],
  ['user information', HEAD.replace('Researcher', 'me@researcher'), 'HTTP1_MALFORMED'],
  ['a path', HEAD.replace('443 ', '443/x '), 'HTTP1_MALFORMED'],
  ['announced content', HEAD.replace('\r\n\r\n', '\r\nContent-Length: 5\r\n\r\nhello'), 'HTTP1_MALFORMED'],
  ['chunked content', HEAD.replace('\r\n\r\n', '\r\nTransfer-Encoding: chunked\r\n\r\n'), 'HTTP1_MALFORMED'],
  ['a bare LF, before the end has come', 'CONNECT researcher.mesh:443 HTTP/1.1\nHost: x\n\n', 'HTTP1_MALFORMED'],
  ['a head without an end', `CONNECT researcher.mesh:443 HTTP/1.1\r\nX: ${'x'.repeat(1000)}`, 'CALL_HEADERS_TOO_LARGE'],
  ['a large head', HEAD.replace('\r\n\r\n', `\r\nX: ${'x'.repeat(1000)}\r\n\r\n`), 'CALL_HEADERS_TOO_LARGE'],
] as const) {
  test(`${what}: ${code}`, async (t) => {
    const { near, far } = await tcpPair(t);
    far.write(text, 'latin1');
    assert.equal(codeOf(await takeConnect(near, LIMITS)), code);
  });
}

test('half a head, and then nothing: PREFACE_TIMEOUT', async (t) => {
  const { near, far } = await tcpPair(t);
  far.write('CONNECT researcher.mesh:443 HTTP/1.1\r\n');
  assert.equal(codeOf(await takeConnect(near, { ...LIMITS, withinMs: 30 })), 'PREFACE_TIMEOUT');
});

test('a client that leaves before its head has ended', async (t) => {
  const { near, far } = await tcpPair(t);
  far.end('CONNECT researcher.mesh:443 HTTP/1.1\r\n');
  assert.equal(codeOf(await takeConnect(near, LIMITS)), 'gone');
  const other = await tcpPair(t);
  const taken = takeConnect(other.near, LIMITS);
  other.far.write('CONNECT ');
  other.near.destroy();
  await once(other.near, 'close');
  assert.equal(codeOf(await taken), 'gone');
});
