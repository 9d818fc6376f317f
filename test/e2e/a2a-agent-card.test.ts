import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { request, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { test } from 'node:test';
import { generateAgentCardSignature, verifyAgentCardSignature, type AgentCard } from '@a2a-js/sdk';
import { AgentCardResolver } from '@a2a-js/sdk/client';
import { A2aAgent, a2aClient, a2aMessage, BINDINGS, OWN_HOST } from '../support/a2a-agent.ts';
import { ProtocolMesh } from '../support/protocol-mesh.ts';

const addresses = ({ supportedInterfaces }: AgentCard) => supportedInterfaces.map(({ url }) => url);

test('a client that follows the card of an agent goes through the mesh, over each binding', async (t) => {
  const agent = await A2aAgent.start(t);
  const world = await ProtocolMesh.start(t, { address: agent.address });
  const at = `http://${world.at}`;
  const here = [`${at}/a2a/jsonrpc`, `${at}/a2a/rest`, world.at];
  assert.deepEqual(addresses(await AgentCardResolver.default.resolve(at)), here);
  assert.deepEqual(addresses(await AgentCardResolver.default.resolve(at, '/.well-known/agent.json')), here);

  for (const binding of BINDINGS) {
    const client = await a2aClient(at, binding);
    const answer = await client.sendMessage(a2aMessage('a question'));
    assert.match(JSON.stringify(answer), /an answer/, binding);
    const found: string[] = [];
    for await (const { payload } of client.sendMessageStream(a2aMessage('your findings'))) {
      if (payload?.$case === 'artifactUpdate') found.push(payload.value.artifact?.artifactId ?? '');
    }
    assert.deepEqual(found, ['first', 'second'], binding);
    assert.deepEqual(addresses(await client.getAgentCard()), here, `the extended card over ${binding}`);
  }
  const direct = await AgentCardResolver.default.resolve(`http://${agent.address}`);
  assert.equal(addresses(direct)[0], `${OWN_HOST}/a2a/jsonrpc`);
  const rewritten = { check: 'agent_card', result: 'rewritten' };
  assert.equal(await world.planner.metric('ait_protocol_checks_total', rewritten), 6);
});

test('a card that was asked for by name, through the proxy, leads back by that name', async (t) => {
  const agent = await A2aAgent.start(t);
  const outbound = { listen: '127.0.0.1:0' };
  const world = await ProtocolMesh.start(t, { address: agent.address, planner: { outbound } });
  const { outbound: proxy } = world.planner.addresses as unknown as { readonly outbound: string };
  const [hostname, port] = proxy.split(':');
  const url = 'http://researcher.mesh/.well-known/agent-card.json';
  const asked = request({ hostname, port, path: url, headers: { host: 'researcher.mesh' }, agent: false });
  asked.end();
  const [answer] = (await once(asked, 'response')) as [IncomingMessage];
  assert.equal(answer.statusCode, 200);
  const card = (await json(answer)) as AgentCard;
  assert.deepEqual(addresses(card), [
    'http://researcher.mesh/a2a/jsonrpc',
    'http://researcher.mesh/a2a/rest',
    'researcher.mesh:80',
  ]);
});

const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
const sign = generateAgentCardSignature(privateKey, { alg: 'ES256', kid: 'card-1', typ: 'JOSE' });

test('a card that the SDK has signed arrives as it was signed, where its key is known, and nowhere else', async (t) => {
  const agent = await A2aAgent.start(t, sign);
  const world = await ProtocolMesh.start(t, { address: agent.address, peer: { card_keys: 'keys.json' } });
  const at = `http://${world.at}`;
  const keys = join(world.planner.folder, 'keys.json');

  await assert.rejects(AgentCardResolver.default.resolve(at), /403/, 'there are no keys yet');
  await writeFile(keys, JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'card-1' }] }));
  const card = await AgentCardResolver.default.resolve(at);
  assert.equal(addresses(card)[0], `${OWN_HOST}/a2a/jsonrpc`);
  await verifyAgentCardSignature(async () => publicKey)(card);

  const other = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  await writeFile(keys, JSON.stringify({ keys: [{ ...other.publicKey.export({ format: 'jwk' }), kid: 'card-1' }] }));
  const answer = await fetch(`${at}/.well-known/agent-card.json`);
  const problem = (await answer.json()) as { readonly code: string; readonly action: string };
  assert.deepEqual([answer.status, problem.code], [403, 'AGENT_CARD_SIGNATURE_INVALID']);
  assert.match(problem.action, /signed again/);
  assert.match(answer.headers.get('content-type') ?? '', /application\/problem\+json/);
  assert.deepEqual((await world.planner.codes()).slice(0, 2), [
    'AGENT_CARD_SIGNATURE_INVALID',
    'AGENT_CARD_UNVERIFIED',
  ]);
});

test('a caller without keys gets no signed card, unless it says that it verifies them itself', async (t) => {
  const agent = await A2aAgent.start(t, sign);
  const world = await ProtocolMesh.start(t, { address: agent.address });
  const answer = await fetch(`http://${world.at}/.well-known/agent-card.json`);
  assert.equal(((await answer.json()) as { readonly code: string }).code, 'AGENT_CARD_UNVERIFIED');

  const passing = await ProtocolMesh.start(t, {
    address: agent.address,
    planner: { protocols: { unverified_cards: 'pass' } },
  });
  const card = await AgentCardResolver.default.resolve(`http://${passing.at}`);
  await verifyAgentCardSignature(async () => publicKey)(card);
});
