import assert from 'node:assert/strict';
import { generateKeyPairSync, sign } from 'node:crypto';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ResponseWatch } from '../../../../src/dataplane/http1/body-watch.ts';
import { canonicalizeJson } from '../../../../src/domain/canonical/jcs.ts';
import { parseStrictJson } from '../../../../src/domain/canonical/strict-json.ts';
import { outcomeOf, protocolWorld, type ProtocolWorldOptions } from '../../../support/protocol-world.ts';

const HOST = ['host', '127.0.0.1:41001'] as const;
const JSON_TYPE = ['content-type', 'application/json'] as const;
const CARD = { name: 'researcher', url: 'https://r.example/a2a', version: '1', skills: [] };
const PATH = '/.well-known/agent-card.json';

type World = ReturnType<typeof protocolWorld>;

function whole(answer: ResponseWatch | undefined, body: object | string): string {
  if (answer === undefined) return 'untouched';
  assert.equal(answer.kind, 'whole');
  if (answer.kind !== 'whole') return '';
  return outcomeOf(answer.body(Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))));
}

function fetched(
  world: World,
  body: object | string,
  { path = PATH, status = 200, host = [HOST], type = 'application/json' } = {},
) {
  const exchange = world.exchange({ method: 'GET', path, requestHeaders: [...host] });
  return whole(exchange?.response({ status, headers: [['Content-Type', type]] }), body);
}

test('a card leads to where our agent called it by, in whichever way it came', () => {
  const world = protocolWorld();
  for (const path of [PATH, '/.well-known/agent.json', '/x/.well-known/agent-card.json']) {
    assert.deepEqual(JSON.parse(fetched(world, CARD, { path })), { ...CARD, url: 'http://127.0.0.1:41001/a2a' });
  }
  const named = fetched(world, CARD, { host: [['Host', 'researcher.mesh:17001']] as never });
  assert.equal((JSON.parse(named) as typeof CARD).url, 'http://researcher.mesh:17001/a2a');
});

test('a host that no URL takes, or none, gives the name of the mesh', () => {
  for (const host of [[], [['host', 'evil.example/@']], [['host', 'a"b']], [['host', 'x y']]]) {
    const body = fetched(protocolWorld(), CARD, { host: host as never });
    assert.equal((JSON.parse(body) as typeof CARD).url, 'http://researcher.mesh/a2a');
  }
});

test('at its well-known place there is a card or nothing, whatever type it claims', () => {
  const world = protocolWorld();
  for (const type of ['text/html', 'application/json', 'application/a2a+json', '']) {
    assert.equal(fetched(world, '<html>', { type }), 'AGENT_CARD_INVALID');
    assert.equal(fetched(world, { name: 'r' }, { type }), 'AGENT_CARD_INVALID');
  }
  assert.equal(
    fetched(world, '{"name":"r","skills":[],"url":"http://r.mesh/","url":"http://evil/"}'),
    'AGENT_CARD_INVALID',
  );
  assert.equal(fetched(world, { ...CARD, url: '//evil.example/' }), 'AGENT_CARD_INVALID');
  assert.equal(fetched(world, CARD, { status: 404 }), 'untouched');
  assert.equal(fetched(world, '', { status: 304 }), 'untouched');
});

test('the extended card over HTTP+JSON leads through the mesh, too; what only has its path passes as it is', () => {
  const world = protocolWorld();
  for (const path of ['/v1/card', '/extendedAgentCard']) {
    assert.match(fetched(world, CARD, { path }), /127\.0\.0\.1:41001/);
    assert.equal(fetched(world, { brand: 'Visa' }, { path }), '{"brand":"Visa"}');
    assert.equal(fetched(world, 'an image', { path, type: 'image/png' }), 'untouched');
  }
});

test('the extended card over JSON-RPC leads through the mesh, and an error passes', () => {
  const world = protocolWorld();
  for (const method of ['agent/getAuthenticatedExtendedCard', 'GetExtendedAgentCard']) {
    const ask = () => {
      const exchange = world.exchange({ path: '/a2a', requestHeaders: [HOST, JSON_TYPE] });
      const body = Buffer.from(JSON.stringify({ jsonrpc: '2.0', id: 1, method }));
      assert.equal(outcomeOf(exchange?.request?.(body)), body.toString());
      return exchange?.response({ status: 200, headers: [JSON_TYPE] });
    };
    const answer = JSON.parse(whole(ask(), { jsonrpc: '2.0', id: 1, result: CARD })) as { result: typeof CARD };
    assert.equal(answer.result.url, 'http://127.0.0.1:41001/a2a');
    const error = '{"jsonrpc":"2.0","id":1,"error":{"code":-32007}}';
    assert.equal(whole(ask(), error), error);
    assert.equal(whole(ask(), { jsonrpc: '2.0', id: 1, result: 'a card' }), 'AGENT_CARD_INVALID');
  }
});

const ec = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });

function signed(card: object, key = ec.privateKey): object {
  const header = Buffer.from('{"alg":"ES256","kid":"k1","typ":"JOSE"}').toString('base64url');
  const form = canonicalizeJson(parseStrictJson(JSON.stringify(card)));
  const input = Buffer.from(`${header}.${Buffer.from(form).toString('base64url')}`);
  const bytes = sign('sha256', input, { key, dsaEncoding: 'ieee-p1363' });
  return { ...card, signatures: [{ protected: header, signature: bytes.toString('base64url') }] };
}

function withKeys(options: ProtocolWorldOptions = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'card-keys-'));
  const file = join(folder, 'keys.json');
  const write = (text: string) => writeFileSync(file, text);
  write(JSON.stringify({ keys: [{ ...ec.publicKey.export({ format: 'jwk' }), kid: 'k1' }] }));
  return { write, world: protocolWorld({ ...options, folder, peer: { card_keys: 'keys.json' } }) };
}

test('a signed card that holds stays as it is, byte by byte', async () => {
  const { world } = withKeys();
  const body = JSON.stringify(signed(CARD), null, 2);
  assert.equal(fetched(world, body), body);
  assert.match(await world.scrape(), /protocol_checks_total\{.*agent_card.*verified.*\} 1/);
});

test('a signed card that does not hold, and one without a signature where keys are known, do not arrive', () => {
  const { world } = withKeys();
  const other = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  assert.equal(fetched(world, { ...signed(CARD), url: 'http://evil.example' }), 'AGENT_CARD_SIGNATURE_INVALID');
  assert.equal(fetched(world, signed(CARD, other.privateKey)), 'AGENT_CARD_SIGNATURE_INVALID');
  assert.equal(fetched(world, CARD), 'AGENT_CARD_UNVERIFIED');
  assert.equal(fetched(world, { ...CARD, signatures: [] }), 'AGENT_CARD_UNVERIFIED');
  assert.equal(fetched(world, { ...CARD, signatures: {} }), 'AGENT_CARD_INVALID');
});

test('keys that cannot be read verify nothing; as soon as they can, they do', () => {
  const { world, write } = withKeys();
  const good = JSON.stringify({ keys: [{ ...ec.publicKey.export({ format: 'jwk' }), kid: 'k1' }] });
  for (const text of ['', '{"keys":[]}', '{"keys":[{"kid":"k1"}]}', '[]']) {
    write(text);
    assert.equal(fetched(world, signed(CARD)), 'AGENT_CARD_UNVERIFIED', text);
  }
  write(good);
  const body = JSON.stringify(signed(CARD));
  assert.equal(fetched(world, body), body);
});

test('without keys a signed card is refused, unless it is said by name that it passes; then it stays as it is', () => {
  const body = JSON.stringify(signed(CARD));
  assert.equal(fetched(protocolWorld(), body), 'AGENT_CARD_UNVERIFIED');
  assert.equal(fetched(protocolWorld({ config: { protocols: { unverified_cards: 'pass' } } }), body), body);
});

test('said by name, that does not make a card pass that is checked and does not hold', () => {
  const { world } = withKeys({ config: { protocols: { unverified_cards: 'pass' } } });
  assert.equal(fetched(world, { ...signed(CARD), name: 'x' }), 'AGENT_CARD_SIGNATURE_INVALID');
  assert.equal(fetched(world, CARD), 'AGENT_CARD_UNVERIFIED');
});

test('where no bodies are read, cards pass as they are; so do those that our agent gives', () => {
  assert.equal(fetched(protocolWorld({ peer: { read_bodies: 'none' } }), CARD), 'untouched');
  assert.equal(fetched(protocolWorld({ role: 'acceptor' }), CARD), 'untouched');
});
