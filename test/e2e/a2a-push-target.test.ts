import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TaskPushNotificationConfig } from '@a2a-js/sdk';
import { A2aAgent, a2aClient, a2aMessage, BINDINGS } from '../support/a2a-agent.ts';
import { ProtocolMesh } from '../support/protocol-mesh.ts';

const EVIL = 'https://evil.example/hook';
/** A task that nobody has to have begun: targets are judged before. */
const config = (url: string) => TaskPushNotificationConfig.fromJSON({ taskId: 'task-1', id: 'push-1', url });

/** One side looks, the other passes bodies unread: each has to be enough. */
const SIDES = {
  'the caller\u2019s sidecar': { researcher: { app: { read_bodies: 'none' } }, blind: 'researcher' },
  'the sidecar of the agent that is called': { peer: { read_bodies: 'none' }, blind: 'planner' },
} as const;

for (const [side, { blind, ...spec }] of Object.entries(SIDES)) {
  test(`a push target outside the mesh is refused by ${side} alone, over each binding`, async (t) => {
    const agent = await A2aAgent.start(t);
    const world = await ProtocolMesh.start(t, { address: agent.address, ...spec });
    const looking = blind === 'planner' ? world.researcher : world.planner;
    for (const path of ['/a2a/jsonrpc', '/a2a/rest/tasks/task-1/pushNotificationConfigs']) {
      const isRpc = path.endsWith('rpc');
      const params = { taskId: 'task-1', url: EVIL };
      const method = 'CreateTaskPushNotificationConfig';
      const body = JSON.stringify(isRpc ? { jsonrpc: '2.0', id: 1, method, params } : params);
      const headers = { 'content-type': 'application/json', 'a2a-version': '1.0' };
      const answer = await fetch(`http://${world.at}${path}`, { method: 'POST', headers, body });
      assert.equal(answer.status, 403, path);
      const { code } = (await answer.json()) as { readonly code: string };
      assert.equal(code, blind === 'planner' ? 'NOT_PERMITTED' : 'PUSH_TARGET_NOT_GRANTED', path);
    }
    const [first, second] = await looking.codes();
    assert.deepEqual([first, second], ['PUSH_TARGET_NOT_GRANTED', 'PUSH_TARGET_NOT_GRANTED']);
    assert.equal(await looking.metric('ait_protocol_checks_total', { check: 'push_target', result: 'refused' }), 2);
  });
}

test('the SDK sets a target in the mesh or at a granted origin, and no other, with a message or for a task', async (t) => {
  const agent = await A2aAgent.start(t);
  const protocols = { push_targets: ['https://hooks.acme.example'] };
  const world = await ProtocolMesh.start(t, {
    address: agent.address,
    planner: { protocols },
    researcher: { protocols },
  });
  for (const binding of BINDINGS) {
    const client = await a2aClient(`http://${world.at}`, binding);
    const told = async (url: string) => {
      const found: string[] = [];
      const request = a2aMessage('your findings', { taskPushNotificationConfig: { url } });
      for await (const { payload } of client.sendMessageStream(request)) {
        if (payload?.$case === 'task') found.push(payload.value.id);
      }
      return found;
    };
    for (const url of ['http://planner.mesh/hook', 'https://hooks.acme.example/a2a']) {
      const [task = ''] = await told(url);
      const { configs } = await client.listTaskPushNotificationConfig({
        taskId: task,
        tenant: '',
        pageSize: 10,
        pageToken: '',
      });
      assert.deepEqual(
        configs.map((known) => known.url),
        [url],
        binding,
      );
      const made = await client.createTaskPushNotificationConfig({ ...config(url), taskId: task });
      assert.equal(made.url, url, binding);
      await assert.rejects(client.createTaskPushNotificationConfig({ ...config(EVIL), taskId: task }), binding);
    }
    await assert.rejects(told(EVIL), binding);
    await assert.rejects(told('http://127.0.0.1:1/hook'), binding);
  }
  const refused = { direction: 'outbound', check: 'push_target', result: 'refused' };
  assert.equal(await world.planner.metric('ait_protocol_checks_total', refused), 8);
});
