import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mayNotify, pushTargetsIn, readOrigin } from '../../../../src/domain/a2a/push-target.ts';
import { mayMatterAsRequest } from '../../../../src/domain/body-scan.ts';
import { parseStrictJson } from '../../../../src/domain/canonical/strict-json.ts';

const EVIL = 'https://evil.example/hook';

/** As a sidecar reads a body: looked through first, then parsed. */
function targets(body: string | object, isPushPath = false) {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  assert.equal(isPushPath || mayMatterAsRequest(Buffer.from(text)), true, `not even looked at: ${text}`);
  return pushTargetsIn(parseStrictJson(text), { isPushPath });
}

const rpc = (method: string, params: object) => ({ jsonrpc: '2.0', id: 1, method, params });
const message = { role: 'user', parts: [{ kind: 'text', text: 'hi' }] };

test('a target is found wherever a version of A2A has it', () => {
  const authentication = { schemes: ['Bearer'] };
  const config = { url: EVIL, token: 't', authentication };
  const requests: (readonly [string, object, boolean?])[] = [
    ['message/send of 0.3', rpc('message/send', { message, configuration: { pushNotificationConfig: config } })],
    ['message/stream of 0.3', rpc('message/stream', { message, configuration: { pushNotificationConfig: config } })],
    ['set of 0.3', rpc('tasks/pushNotificationConfig/set', { taskId: '7', pushNotificationConfig: config })],
    ['set of 0.2', rpc('tasks/pushNotification/set', { id: '7', pushNotificationConfig: config })],
    ['tasks/send of 0.1', rpc('tasks/send', { id: '7', message, pushNotification: config })],
    ['SendMessage of 1.0', rpc('SendMessage', { message, configuration: { taskPushNotificationConfig: config } })],
    ['in protobuf spelling', rpc('SendMessage', { configuration: { task_push_notification_config: config } })],
    ['create of 1.0', rpc('CreateTaskPushNotificationConfig', { taskId: '7', ...config })],
    ['create in a draft of 1.0', rpc('CreateTaskPushNotificationConfig', { parent: 'tasks/7', config })],
    ['message:send of 0.3', { message, configuration: { pushNotification: config } }],
    ['pushNotificationConfigs of 0.3', { config: { name: 'x', pushNotificationConfig: config } }, true],
    ['pushNotificationConfigs of 1.0', config, true],
    ['a batch', [rpc('tasks/get', {}), rpc('tasks/pushNotificationConfig/set', { pushNotificationConfig: config })]],
  ];
  for (const [what, body, isPushPath] of requests) assert.deepEqual(targets(body, isPushPath), [EVIL], what);
});

test('spelling it so that only some servers read it does not hide it', () => {
  const hidden = [
    `{"method":"message/send","params":{"configuration":{"PUSHNOTIFICATIONCONFIG":{"URL":"${EVIL}"}}}}`,
    `{"method":"message/send","params":{"configuration":{"pu\u017fhNotificationConfig":{"url":"${EVIL}"}}}}`,
    `{"method":"message/send","params":{"configuration":{"\\u0070ushNotificationConfig":{"url":"${EVIL}"}}}}`,
    `{"method":"message/send","params":{"configuration":{"pu\\u017fhNotificationConfig":{"url":"${EVIL}"}}}}`,
    `{"Method":"CreateTaskPushNotificationConfig","Params":{"Url":"${EVIL}"}}`,
    `{"method":"\\u0043reateTaskPush\\u004eotificationConfig","params":{"url":"${EVIL}"}}`,
    `{"params":{"configuration":{"pushNotificationConfig":{"a":[{"url":"${EVIL}"}]}}}}`,
    `{"method":"x","method_":"tasks/pushNotificationConfig/set","params":{"url":"${EVIL}"}}`,
  ];
  for (const body of hidden) assert.deepEqual(targets(body), [EVIL], body);
});

test('two spellings of one member are two targets', () => {
  const body = { configuration: { pushNotificationConfig: { url: 'http://a.mesh/', URL: EVIL } } };
  assert.deepEqual(targets(body), ['http://a.mesh/', EVIL]);
});

test('what a message says of push notifications is content', () => {
  const said = { message: { parts: [{ data: { pushNotificationConfig: { url: EVIL } } }] } };
  assert.deepEqual(targets(rpc('message/send', said)), []);
  assert.deepEqual(targets(said), []);
  assert.deepEqual(targets(rpc('message/send', { ...said, metadata: { pushNotification: { url: EVIL } } })), []);
});

test('a member that is only called message does not cover what is deeper', () => {
  const body = { configuration: { pushNotificationConfig: { message: { url: EVIL } } } };
  assert.deepEqual(targets(body), [EVIL]);
});

test('a URL that is no string stands for one that nothing grants; null is none', () => {
  assert.deepEqual(targets({ pushNotificationConfig: { url: [EVIL] } }), ['']);
  assert.deepEqual(targets({ pushNotificationConfig: { url: { href: EVIL } } }), ['']);
  assert.deepEqual(targets({ pushNotificationConfig: { url: null } }), []);
});

test('more targets than any honest request has are none that can be told', () => {
  const configs = Array.from({ length: 65 }, () => ({ url: 'http://a.mesh/' }));
  assert.equal(targets({ pushNotificationConfig: configs }), undefined);
});

const rules = {
  isAgent: (host: string) => host === 'planner.mesh' || host === 'team.search.mesh',
  granted: new Set(['https://hooks.example.com:443', 'http://10.0.0.9:8080']),
};

test('notifications go to agents of the mesh, and to origins that are granted', () => {
  for (const url of [
    'http://planner.mesh/hook',
    'http://planner.mesh:17001/hook?task=7',
    'http://PLANNER.mesh./hook',
    'http://team.search.mesh',
    'https://hooks.example.com/a2a/7',
    'https://hooks.example.com:443',
    'HTTPS://Hooks.Example.com/x',
    'http://10.0.0.9:8080/',
  ]) {
    assert.equal(mayNotify(url, rules), true, url);
  }
});

test('and nowhere else, whatever the URL looks like', () => {
  for (const url of [
    '',
    EVIL,
    'https://planner.mesh/hook',
    'http://stranger.mesh/',
    'http://planner.mesh.evil.example/',
    'http://planner.mesh@evil.example/',
    'http://planner.mesh:80@evil.example/',
    'http://evil.example\\@planner.mesh/',
    'http://evil.example#@planner.mesh/',
    'http://planner.mesh\t.evil.example/',
    'http://planner\u3002mesh/',
    'http://plaṅner.mesh/',
    '//planner.mesh/hook',
    'planner.mesh/hook',
    'http:planner.mesh',
    'http:///planner.mesh/',
    'http://127.0.0.1:8080/',
    'http://localhost/',
    'http://[::1]/',
    'http://169.254.169.254/latest/meta-data/',
    'http://hooks.example.com/a2a',
    'https://hooks.example.com:8443/',
    'https://hooks.example.com.evil.example/',
    'https://ahooks.example.com/',
    'http://10.0.0.9/',
    'ftp://hooks.example.com/',
    'gopher://10.0.0.9:8080/',
  ]) {
    assert.equal(mayNotify(url, rules), false, url);
  }
});

test('an origin has one spelling', () => {
  assert.equal(readOrigin('https://Hooks.example.com/x?y'), 'https://hooks.example.com:443');
  assert.equal(readOrigin('http://[::1]:80'), 'http://[::1]:80');
  for (const url of ['hooks.example.com', 'ftp://x.example', 'https://a@b.example'])
    assert.equal(readOrigin(url), undefined);
});
