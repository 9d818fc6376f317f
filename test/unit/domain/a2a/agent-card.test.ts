import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isAgentCard, isSignedCard, relocateAgentCard } from '../../../../src/domain/a2a/agent-card.ts';
import { parseStrictJson, type JsonObject } from '../../../../src/domain/canonical/strict-json.ts';

const AT = '127.0.0.1:41001';
const read = (value: unknown) => parseStrictJson(JSON.stringify(value)) as JsonObject;
const moved = (value: unknown, authority = AT): unknown =>
  JSON.parse(JSON.stringify(relocateAgentCard(read(value), authority)));

test('a card of 0.3 leads through the mesh by every address that it has, path and query kept', () => {
  const card = {
    name: 'researcher',
    url: 'https://research.example.com:8443/a2a/v1?tenant=7',
    preferredTransport: 'JSONRPC',
    additionalInterfaces: [
      { url: 'https://research.example.com/rest', transport: 'HTTP+JSON' },
      { url: 'grpc.research.example.com:443', transport: 'GRPC' },
      { url: 'http://10.0.0.7:9000', transport: 'JSONRPC' },
    ],
    provider: { organization: 'ACME', url: 'https://acme.example' },
    documentationUrl: 'https://acme.example/docs',
    capabilities: {},
  };
  assert.deepEqual(moved(card), {
    ...card,
    url: `http://${AT}/a2a/v1?tenant=7`,
    additionalInterfaces: [
      { url: `http://${AT}/rest`, transport: 'HTTP+JSON' },
      { url: AT, transport: 'GRPC' },
      { url: `http://${AT}`, transport: 'JSONRPC' },
    ],
  });
});

test('a card of 1.0 does so, in either spelling of its members', () => {
  const interfaces = [{ url: 'https://r.example/a', protocolBinding: 'JSONRPC', protocolVersion: '1.0', tenant: 't' }];
  for (const list of ['supportedInterfaces', 'supported_interfaces']) {
    assert.deepEqual(moved({ name: 'r', [list]: interfaces }, 'r.mesh'), {
      name: 'r',
      [list]: [{ ...interfaces[0], url: 'http://r.mesh/a' }],
    });
  }
});

test('a gRPC target without a port at the new place gets the one that the name is called by, not 443', () => {
  const card = { name: 'r', supportedInterfaces: [{ url: 'dns:///r.example:50051', protocolBinding: 'GRPC' }] };
  assert.deepEqual(moved(card, 'r.mesh'), {
    name: 'r',
    supportedInterfaces: [{ url: 'r.mesh:80', protocolBinding: 'GRPC' }],
  });
});

test('a path alone is one of the host that gave the card; nothing is no address', () => {
  assert.deepEqual(moved({ name: 'r', url: '/a2a', skills: [] }), { name: 'r', url: `http://${AT}/a2a`, skills: [] });
  assert.deepEqual(moved({ name: 'r', url: '', skills: [] }), { name: 'r', url: '', skills: [] });
});

test('an address that has two readings, or leads elsewhere than HTTP, spoils the card', () => {
  const bad: unknown[] = [
    '//evil.example/a2a',
    'http://user@evil.example/',
    'http://r.mesh\\@evil.example/',
    'http:evil.example',
    'https:/evil.example/',
    'http://evil.example\u0000/',
    'http://evil。example/',
    'http://evil.example/a b',
    ' http://evil.example/',
    'ht\ntp://evil.example/',
    'file:///etc/passwd',
    'javascript:alert(1)',
    'ws://evil.example/',
    'http://evil.example:65536/',
    'evil.example:443',
    `http://evil.example/${'a'.repeat(3000)}`,
    7,
    ['http://evil.example/'],
    { href: 'http://evil.example/' },
  ];
  for (const url of bad) {
    assert.throws(() => moved({ name: 'r', url, skills: [] }), /card\.url/, JSON.stringify(url));
    assert.throws(() => moved({ name: 'r', supportedInterfaces: [{ url, protocolBinding: 'JSONRPC' }] }), /\[0\]\.url/);
  }
});

test('a list of interfaces that is none, or endless, spoils the card', () => {
  for (const list of ['additionalInterfaces', 'supportedInterfaces', 'additional_interfaces']) {
    assert.throws(() => moved({ name: 'r', [list]: { url: 'http://evil.example' } }));
    assert.throws(() => moved({ name: 'r', [list]: ['http://evil.example'] }));
    assert.throws(() => moved({ name: 'r', [list]: Array.from({ length: 65 }, () => ({})) }));
  }
});

test('moving a card twice to one place moves nothing more', () => {
  const card = read({ name: 'r', url: 'https://r.example/x', supportedInterfaces: [{ url: 'https://r.example/y' }] });
  const once = relocateAgentCard(card, AT);
  assert.deepEqual(relocateAgentCard(once, AT), once);
});

test('a member that is called __proto__ stays a member', () => {
  const card = parseStrictJson('{"name":"r","url":"http://r.example/","__proto__":{"url":"x"}}') as JsonObject;
  assert.equal(
    JSON.stringify(relocateAgentCard(card, AT)),
    `{"name":"r","url":"http://${AT}/","__proto__":{"url":"x"}}`,
  );
});

test('what is a card, and what only looks like a payment card', () => {
  assert.equal(isAgentCard(read({ name: 'r', skills: [] })), true);
  assert.equal(isAgentCard(read({ name: 'r', supportedInterfaces: [] })), true);
  for (const other of [{ name: 'Visa', url: 'x' }, { skills: [] }, { name: 7, skills: [] }]) {
    assert.equal(isAgentCard(read(other)), false);
  }
  for (const other of [null, 'card', 7, [{ name: 'r', skills: [] }]]) assert.equal(isAgentCard(other), false);
});

test('a card is signed if it has a signature; what is no list of them is refused', () => {
  assert.equal(isSignedCard(read({ name: 'r' })), false);
  assert.equal(isSignedCard(read({ name: 'r', signatures: null })), false);
  assert.equal(isSignedCard(read({ name: 'r', signatures: [] })), false);
  assert.equal(isSignedCard(read({ name: 'r', signatures: [{}] })), true);
  assert.throws(() => isSignedCard(read({ name: 'r', signatures: 'none' })), /card\.signatures/);
  assert.throws(() => isSignedCard(read({ name: 'r', signatures: { length: 0 } })), /card\.signatures/);
});
