import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { FETCH, McpAgent, mcpClient, POISONED, SEARCH } from '../support/mcp-agent.ts';
import { ProtocolMesh } from '../support/protocol-mesh.ts';
import { runAit } from '../support/run-ait.ts';

const names = async (client: Client) => (await client.listTools()).tools.map(({ name }) => name);

test('an MCP server whose list of tools is as approved is used as if there were no sidecars', async (t) => {
  const agent = await McpAgent.start(t);
  const world = await ProtocolMesh.start(t, { address: agent.address, manifest: agent.manifest });
  for (const inJson of [false, true]) {
    agent.inJson = inJson;
    const client = await mcpClient(t, `http://${world.at}/mcp`);
    assert.deepEqual(await names(client), ['search', 'fetch']);
    const steps: number[] = [];
    const onprogress = ({ progress }: { progress: number }) => void steps.push(progress);
    const answer = await client.callTool({ name: 'search', arguments: { query: 'x' } }, undefined, { onprogress });
    assert.deepEqual(answer['content'], [{ type: 'text', text: 'the tools of search' }]);
    assert.deepEqual(steps, inJson ? [] : [1]);
  }
  agent.inJson = false;
  agent.pageSize = 1;
  const client = await mcpClient(t, `http://${world.at}/mcp`);
  const first = await client.listTools();
  const second = await client.listTools({ cursor: first.nextCursor });
  assert.deepEqual([first.tools[0]?.name, second.tools[0]?.name, second.nextCursor], ['search', 'fetch', undefined]);
  assert.equal(await world.planner.metric('ait_protocol_checks_total', { check: 'tool_list', result: 'passed' }), 4);
});

test('a list of tools that changed does not arrive, and costs that server its sessions until it is as approved', async (t) => {
  const agent = await McpAgent.start(t);
  const world = await ProtocolMesh.start(t, { address: agent.address, manifest: agent.manifest });
  const { planner } = world;
  const client = await mcpClient(t, `http://${world.at}/mcp`);
  await names(client);
  agent.tools = [POISONED, { ...FETCH, name: 'exfiltrate' }];
  await assert.rejects(client.listTools(), /TOOLS_DRIFT/);

  const ended = await planner.waitForVerdict({ code: 'TOOLS_DRIFT' });
  const detail = '"search" changed (description), "exfiltrate" added, "fetch" removed';
  assert.equal(ended['detail'], `the list of tools is not that of baseline researcher-mcp: ${detail}`);
  const differences = ended['differences'] as { readonly dimension: string; readonly item: string }[];
  assert.deepEqual(
    differences.map(({ dimension, item }) => `${dimension} ${item}`),
    ['tools search', 'tools exfiltrate', 'tools fetch'],
  );
  await world.researcher.waitForVerdict({ code: 'PEER_ENDED' });
  assert.equal(await planner.metric('ait_drift_total', { peer: 'researcher', dimension: 'tools' }), 1);

  await assert.rejects(client.callTool({ name: 'search', arguments: { query: 'x' } }));
  assert.deepEqual(agent.called, [], 'nor is a tool of it called');
  assert.ok((await planner.codes()).includes('TOOLS_DRIFT'));

  // What was seen of it is approved now, and so it is in order again.
  const from = planner.sidecar.mark();
  await world.approveTools(agent.manifest, 'researcher-poisoned');
  await planner.waitFor('state_applied', () => true, { from });
  await world.researcher.waitFor('standing_in_order', ({ baseline }) => baseline === 'researcher-poisoned');
  assert.deepEqual(await names(await mcpClient(t, `http://${world.at}/mcp`)), ['search', 'exfiltrate']);
});

test('once the tools are as approved again, an operator need not wait for it to be forgotten', async (t) => {
  const agent = await McpAgent.start(t);
  const world = await ProtocolMesh.start(t, { address: agent.address, manifest: agent.manifest });
  agent.tools = [POISONED, FETCH];
  const client = await mcpClient(t, `http://${world.at}/mcp`);
  await assert.rejects(client.listTools(), /TOOLS_DRIFT/);
  agent.tools = [SEARCH, FETCH];
  await assert.rejects(mcpClient(t, `http://${world.at}/mcp`), /TOOLS_DRIFT/);
  const { admin } = world.planner.addresses;
  const cleared = await runAit(['drift', 'clear', '--admin', admin]);
  assert.match(cleared.output, /stands no more/);
  assert.deepEqual(await names(await mcpClient(t, `http://${world.at}/mcp`)), ['search', 'fetch']);
});

test('it is the caller that looks: what the server and its own sidecar say does not count', async (t) => {
  const agent = await McpAgent.start(t);
  const { manifest } = agent;
  agent.tools = [POISONED, FETCH];
  for (const inJson of [false, true]) {
    agent.inJson = inJson;
    const world = await ProtocolMesh.start(t, {
      address: agent.address,
      manifest,
      researcher: { app: { read_bodies: 'none' } },
    });
    const client = await mcpClient(t, `http://${world.at}/mcp`);
    await assert.rejects(client.listTools(), /TOOLS_DRIFT/);
  }
});

test('a page that is missing its tools is noticed with the last one', async (t) => {
  const agent = await McpAgent.start(t);
  const world = await ProtocolMesh.start(t, { address: agent.address, manifest: agent.manifest });
  agent.pageSize = 1;
  agent.tools = [SEARCH, SEARCH];
  const client = await mcpClient(t, `http://${world.at}/mcp`);
  const { nextCursor } = await client.listTools();
  await assert.rejects(client.listTools({ cursor: nextCursor }), /TOOLS_DRIFT/);
  const { detail } = await world.planner.waitForVerdict({ code: 'TOOLS_DRIFT' });
  assert.match(String(detail), /: "fetch" removed$/);
});

test('in observe mode a changed list arrives, counted and loud', async (t) => {
  const agent = await McpAgent.start(t);
  const record = { observe: { until: '2100-01-01T00:00:00Z', reason: 'roll-out' } };
  const world = await ProtocolMesh.start(t, { address: agent.address, manifest: agent.manifest, record });
  agent.tools = [POISONED, FETCH];
  const client = await mcpClient(t, `http://${world.at}/mcp`);
  assert.deepEqual(await names(client), ['search', 'fetch']);
  await world.planner.waitFor('would_deny', ({ code }) => code === 'TOOLS_DRIFT');
  assert.deepEqual((await client.callTool({ name: 'search', arguments: { query: 'x' } }))['isError'], undefined);
  assert.equal(await world.planner.metric('ait_protocol_checks_total', { result: 'observed' }), 1);
});
