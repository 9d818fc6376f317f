import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { test } from 'node:test';
import { readRequest, type Http1Request } from '../../../../src/dataplane/http1/request-reading.ts';
import { requestHead } from '../../../../src/dataplane/http1/request-head.ts';

interface Line {
  readonly method?: string;
  readonly url?: string;
  readonly minor?: number;
}

/** As Node's parser hands it over. */
function read(headers: readonly string[], { method = 'GET', url = '/x', minor = 1 }: Line = {}) {
  const rawHeaders = headers.flatMap((line) => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon), line.slice(colon + 1).trim()];
  });
  const message = { method, url, rawHeaders, httpVersion: `1.${minor}`, httpVersionMajor: 1, httpVersionMinor: minor };
  return readRequest(message as IncomingMessage, 4096);
}

function accepted(headers: readonly string[], line?: Line): Http1Request {
  const reading = read(headers, line);
  assert.ok(reading.ok, JSON.stringify(reading));
  return reading.request;
}

function refusedAs(headers: readonly string[], line?: Line): string {
  const reading = read(headers, line);
  assert.ok(!reading.ok);
  return reading.rejection.code;
}

const HOST = 'Host: a';
const TRACE = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00';

test('what was asked for is known, and goes on in one spelling', () => {
  const request = accepted([HOST, 'Accept: */*', 'Content-Length: 3'], { method: 'POST', url: '/p?q=1' });
  const { method, path, authority, framing, contentLength, isGrpc } = request;
  assert.deepEqual(
    { method, path, authority, framing, contentLength, isGrpc },
    { method: 'POST', path: '/p?q=1', authority: 'a', framing: 'length', contentLength: 3, isGrpc: false },
  );
  assert.deepEqual(request.headers[1], { name: 'accept', value: '*/*' });
  const identity = [{ name: 'x-ait-peer-agent', value: 'planner' }];
  assert.equal(
    requestHead(request, { traceparent: TRACE, identity, isWatched: false }),
    `POST /p?q=1 HTTP/1.1\r\nHost: a\r\nAccept: */*\r\nContent-Length: 3\r\ntraceparent: ${TRACE}\r\nx-ait-peer-agent: planner\r\n\r\n`,
  );
});

test('fields of the connection end here, and so do those that only sidecars may set', () => {
  const lines = accepted([
    HOST,
    'Connection: keep-alive, X-Mine',
    'X-Mine: 1',
    'Keep-Alive: timeout=5',
    'Proxy-Authorization: Basic x',
    'TE: gzip',
    'X-Ait-Peer-Agent: admin',
    'X_AIT_PEER_AGENT: admin',
    'x-ait-peer-agent-bin: YQ',
    'X-Forwarded-Client-Cert: admin',
    'X-Stays: 1',
  ]).lines();
  assert.equal(lines, 'Host: a\r\nX-Stays: 1\r\n');
  assert.equal(accepted([HOST, 'TE: trailers']).lines(), 'Host: a\r\nTE: trailers\r\n');
});

test('a valid trace goes on with its state; of any other nothing does', () => {
  const state = 'tracestate: a=b';
  const valid = accepted([HOST, `traceparent: ${TRACE}`, state]);
  assert.deepEqual([valid.traceparent, valid.lines()], [TRACE, 'Host: a\r\ntracestate: a=b\r\n']);
  for (const others of [['traceparent: x'], [`traceparent: ${TRACE}`, `traceparent: ${TRACE}`], []]) {
    const request = accepted([HOST, ...others, state]);
    assert.deepEqual([request.traceparent, request.lines()], [undefined, 'Host: a\r\n']);
  }
});

test('whoever reads along has the answer asked for without a content coding', () => {
  const request = accepted([HOST, 'Accept-Encoding: gzip', 'X: 1']);
  const body = Buffer.from('judged');
  const head = requestHead(request, { traceparent: TRACE, identity: [], body, isWatched: true });
  assert.match(head, /Accept-Encoding: identity\r\nContent-Length: 6\r\n/);
  assert.ok(!head.includes('gzip') && head.includes('X: 1'));
});

for (const [name, url, path] of [
  ['with a path', 'http://A/p?q', '/p?q'],
  ['without one', 'http://a', '/'],
  ['with a query only', 'http://a?q', '/?q'],
  ['with its own port', 'HTTP://a:80/p', '/p'],
] as const) {
  test(`the absolute form ${name} goes on in origin form`, () => {
    assert.equal(accepted([HOST], { url }).path, path);
  });
}

test('OPTIONS may ask of the whole server, in either form', () => {
  assert.equal(accepted([HOST], { method: 'OPTIONS', url: '*' }).path, '*');
  assert.equal(accepted([HOST], { method: 'OPTIONS', url: 'http://a' }).path, '*');
});

test('HTTP/1.0 with a Host is understood; it cannot be told to wait', () => {
  const request = accepted([HOST, 'Expect: 100-continue', 'Content-Length: 1'], { minor: 0 });
  assert.equal(request.expectsContinue, false);
});

test('an offer of HTTP/2 is read over; any other protocol is refused by that name', () => {
  assert.equal(accepted([HOST, 'Upgrade: h2c', 'HTTP2-Settings: AA']).lines(), 'Host: a\r\n');
  assert.equal(refusedAs([HOST, 'Upgrade: websocket']), 'UPGRADE_REFUSED');
  assert.equal(refusedAs([HOST, 'Expect: more']), 'EXPECTATION_REFUSED');
});

test('many fields are as much as a few large ones', () => {
  assert.equal(refusedAs([HOST, ...Array.from({ length: 125 }, () => 'a: b')]), 'CALL_HEADERS_TOO_LARGE');
});

for (const [name, headers, line] of [
  ['no Host', []],
  ['Host twice', [HOST, HOST]],
  ['a Host that is none', ['Host: a,b']],
  ['Host against the target', [HOST], { url: 'http://b/' }],
  ['a user in the target', [HOST], { url: 'http://u@a/' }],
  ['https', [HOST], { url: 'https://a/' }],
  ['a fragment', [HOST], { url: '/a#b' }],
  ['a blank in the target', [HOST], { url: '/a b' }],
  ['octets beyond ASCII in the target', [HOST], { url: '/\u00e9' }],
  ['two lengths', [HOST, 'Content-Length: 1', 'Content-Length: 1']],
  ['a length that is none', [HOST, 'Content-Length: 1e3']],
  ['a length and chunks', [HOST, 'Content-Length: 1', 'Transfer-Encoding: chunked']],
  ['another coding', [HOST, 'Transfer-Encoding: gzip, chunked']],
  ['chunks in HTTP/1.0', [HOST, 'Transfer-Encoding: chunked'], { minor: 0 }],
  ['a hidden length', [HOST, 'Content_Length: 1']],
  ['a hidden coding', [HOST, 'transfer.encoding: chunked']],
  ['Connection that takes Host away', [HOST, 'Connection: host']],
  ['a control character', [HOST, 'X: a\u0001b']],
] as const) {
  test(`${name}: HTTP1_MALFORMED`, () => {
    assert.equal(refusedAs(headers, line), 'HTTP1_MALFORMED');
  });
}
