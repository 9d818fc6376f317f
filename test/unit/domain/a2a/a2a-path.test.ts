import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isA2aMethodPath, readA2aPath } from '../../../../src/domain/a2a/a2a-path.ts';

test('agent cards are found where any version has them, below whatever the agent has before', () => {
  const wellKnown = [
    '/.well-known/agent-card.json',
    '/.well-known/agent.json',
    '/agents/7/.well-known/agent-card.json?v=2',
  ];
  for (const path of wellKnown) assert.equal(readA2aPath(path).card, 'well_known', path);
  for (const path of ['/extendedAgentCard', '/tenant/extendedAgentCard?x', '/v1/card', '/a2a/v1/card']) {
    assert.equal(readA2aPath(path).card, 'extended', path);
  }
});

test('nor does another spelling hide one that a server reads as the same', () => {
  const spellings = [
    '/.well-known/agent%2Dcard.json',
    '/%2Ewell-known/agent-card.json',
    '/.well-known//agent-card.json',
    '//.well-known/agent-card.json',
    '/.well-known/agent-card.json;v=1',
    '/.well-known/%61gent.json#x',
  ];
  for (const path of spellings) assert.equal(readA2aPath(path).card, 'well_known', path);
});

test('other paths are nobody\u2019s card', () => {
  for (const path of ['/', '/cards', '/v1/cards', '/agent-card.json', '/x/.well-known/agent-card.json/y', '*']) {
    assert.equal(readA2aPath(path).card, undefined, path);
  }
  assert.equal(readA2aPath('/search?q=/.well-known/agent-card.json').card, undefined);
});

test('push-notification configurations are set at these paths', () => {
  for (const path of [
    '/v1/tasks/7/pushNotificationConfigs',
    '/tasks/7/pushNotificationConfigs/',
    '/tenant/tasks/7/pushNotificationConfigs?x=1',
    '/tasks/7/%70ushNotificationConfigs',
    '/tasks/7/PushNotificationConfigs',
  ]) {
    assert.equal(readA2aPath(path).isPush, true, path);
  }
  assert.equal(readA2aPath('/tasks/7/pushNotificationConfigs/abc').isPush, false);
});

test('an escape that is no text does no harm', () => {
  assert.deepEqual(readA2aPath('/%ff%fe/card'), { card: undefined, isPush: false });
});

test('methods of HTTP+JSON are known by their paths', () => {
  for (const path of ['/v1/message:send', '/message:stream', '/t/message%3Asend', '/v1/card']) {
    assert.equal(isA2aMethodPath(path), true, path);
  }
  for (const path of ['/message', '/v1/messages', '/a2a']) assert.equal(isA2aMethodPath(path), false, path);
});
