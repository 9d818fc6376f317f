import assert from 'node:assert/strict';
import { test } from 'node:test';
import { outcomeOf, protocolWorld, type ProtocolWorldOptions } from '../../../support/protocol-world.ts';

const EVIL = 'https://evil.example/hook';
const JSON_TYPE = ['content-type', 'application/json'] as const;
const CREATE = {
  jsonrpc: '2.0',
  id: 1,
  method: 'CreateTaskPushNotificationConfig',
  params: { taskId: '7', url: EVIL },
};

interface Sent {
  readonly path?: string;
  readonly headers?: readonly (readonly [string, string])[];
  readonly method?: string;
}

function sent(body: string | Buffer | object, request: Sent = {}, options: ProtocolWorldOptions = {}) {
  const world = protocolWorld({ role: 'acceptor', ...options });
  const { path = '/a2a', headers = [JSON_TYPE], method = 'POST' } = request;
  const exchange = world.exchange({ method, path, requestHeaders: headers });
  if (exchange === undefined || exchange.requestLimit === 0) return 'untouched';
  const bytes = Buffer.isBuffer(body) ? body : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
  const outcome = outcomeOf(exchange.request?.(bytes));
  return outcome === bytes.toString() ? 'passed' : outcome;
}

const to = (url: string) => ({ ...CREATE, params: { ...CREATE.params, url } });

test('a target outside the mesh is refused on both sides, one in it passes', () => {
  for (const role of ['acceptor', 'dialler'] as const) {
    assert.equal(sent(CREATE, {}, { role }), 'PUSH_TARGET_NOT_GRANTED');
    assert.equal(sent(to('http://planner.mesh/hook'), {}, { role }), 'passed');
    assert.equal(sent(to('http://researcher.mesh:17001/hook'), {}, { role }), 'passed');
    assert.equal(sent(to('http://stranger.mesh/hook'), {}, { role }), 'PUSH_TARGET_NOT_GRANTED');
    assert.equal(sent(to('http://planner/hook'), {}, { role }), 'PUSH_TARGET_NOT_GRANTED');
  }
});

test('an origin that is granted passes, another port or scheme of it does not', () => {
  const options = { config: { protocols: { push_targets: ['https://hooks.example.com'] } } };
  assert.equal(sent(to('https://hooks.example.com/a2a/7'), {}, options), 'passed');
  assert.equal(sent(to('https://hooks.example.com:8443/'), {}, options), 'PUSH_TARGET_NOT_GRANTED');
  assert.equal(sent(to('http://hooks.example.com/'), {}, options), 'PUSH_TARGET_NOT_GRANTED');
  assert.equal(sent(CREATE, {}, options), 'PUSH_TARGET_NOT_GRANTED');
});

test('over HTTP+JSON all of the body is the configuration', () => {
  for (const path of ['/v1/tasks/7/pushNotificationConfigs', '/tasks/7/%70ushNotificationConfigs?x']) {
    assert.equal(sent({ url: EVIL }, { path }), 'PUSH_TARGET_NOT_GRANTED', path);
    assert.equal(
      sent({ url: EVIL }, { path, headers: [['content-type', 'image/png']] }),
      'PUSH_TARGET_NOT_GRANTED',
      path,
    );
    assert.equal(sent({ url: 'http://planner.mesh/' }, { path }), 'passed', path);
    assert.equal(sent('', { path }), 'passed', path);
  }
});

test('JSON is read whatever its type is called, and where it has none', () => {
  const types = [
    'application/json; charset=utf-8',
    'APPLICATION/JSON',
    'application/a2a+json',
    'application/vnd.api+json;v=1',
    'text/json',
    '',
    ' application/json ;charset="UTF-8"',
  ];
  for (const type of types) {
    assert.equal(sent(CREATE, { headers: [['Content-Type', type]] }), 'PUSH_TARGET_NOT_GRANTED', type);
  }
  assert.equal(sent(CREATE, { headers: [] }), 'PUSH_TARGET_NOT_GRANTED');
  assert.equal(sent(CREATE, { headers: [['content-type', 'text/plain'], ['A2A-Version', '1.0']] }), 'PUSH_TARGET_NOT_GRANTED'); // prettier-ignore
});

test('what cannot be read does not pass unread', () => {
  const utf16 = Buffer.from(JSON.stringify(CREATE), 'utf16le');
  const bodies: [string | Buffer | object, readonly (readonly [string, string])[]][] = [
    [CREATE, [JSON_TYPE, ['content-encoding', 'gzip']]],
    [CREATE, [JSON_TYPE, ['Content-Encoding', 'br']]],
    [CREATE, [['content-type', 'application/json; charset=utf-7']]],
    [CREATE, [['content-type', 'application/json;charset="utf-16le"']]],
    [CREATE, [JSON_TYPE, ['content-type', 'image/png']]],
    [utf16, [JSON_TYPE]],
    [Buffer.concat([Buffer.from([0xff, 0xfe]), utf16]), [JSON_TYPE]],
    [Buffer.from(utf16).swap16(), [JSON_TYPE]],
    [`\ufeff${JSON.stringify(CREATE)}`, [JSON_TYPE]],
    ['{"pushNotificationConfig":{"url":"http://planner.mesh/","url":"https://evil.example"}}', [JSON_TYPE]],
    ['{"pushNotificationConfig":{"url":"http://planner.mesh/"}', [JSON_TYPE]],
    ['{"pushNotificationConfig":{"url":"\\ud800"}}', [JSON_TYPE]],
    [`${'['.repeat(70)}"pushNotification"${']'.repeat(70)}`, [JSON_TYPE]],
  ];
  for (const [body, headers] of bodies) {
    assert.equal(sent(body, { headers }), 'CALL_BODY_UNREADABLE', JSON.stringify(headers));
  }
});

test('what has nothing to do with it passes as it came, even where it is no JSON', () => {
  for (const body of [
    '{"id":12345678901234567890}',
    '{"a":1,"a":2}',
    'not JSON',
    '',
    '{"text":"a push, a notification and \\u003cb\\u003e"}',
    JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'message/send', params: { message: { parts: [] } } }),
  ]) {
    assert.equal(sent(body), 'passed', body);
  }
});

test('other types are not held back, unless every body is to be read', () => {
  const headers = [['content-type', 'image/png']] as const;
  assert.equal(sent(CREATE, { headers }), 'untouched');
  assert.equal(sent(CREATE, { headers }, { app: { read_bodies: 'all' } }), 'PUSH_TARGET_NOT_GRANTED');
  assert.equal(sent(CREATE, { headers }, { role: 'dialler', peer: { read_bodies: 'all' } }), 'PUSH_TARGET_NOT_GRANTED');
});

test('where it is said by name that no body is read, none is', () => {
  assert.equal(sent(CREATE, {}, { app: { read_bodies: 'none' } }), 'untouched');
  assert.equal(sent(CREATE, {}, { role: 'dialler', peer: { read_bodies: 'none' } }), 'untouched');
  assert.equal(sent(CREATE, {}, { app: { read_bodies: 'none' }, role: 'dialler' }), 'PUSH_TARGET_NOT_GRANTED');
});

test('reading and deleting a configuration is nobody\u2019s business', () => {
  for (const method of ['GET', 'DELETE', 'HEAD']) {
    assert.equal(sent('', { method, path: '/v1/tasks/7/pushNotificationConfigs/x' }), 'untouched', method);
  }
});

test('each is counted by what became of it', async () => {
  const world = protocolWorld({ role: 'acceptor' });
  for (const url of [EVIL, 'http://planner.mesh/', 'http://planner.mesh/2']) {
    world.exchange({ path: '/', requestHeaders: [JSON_TYPE] })?.request?.(Buffer.from(JSON.stringify(to(url))));
  }
  const text = await world.scrape();
  assert.match(text, /protocol_checks_total\{.*inbound.*push_target.*passed.*\} 2/);
  assert.match(text, /protocol_checks_total\{.*inbound.*push_target.*refused.*\} 1/);
});
