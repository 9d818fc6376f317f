import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { chat, errorOf, modelSocket, promptOf } from '../support/model-caller.ts';
import { plannerWithProvider } from '../support/model-mesh.ts';

test('a caller who need not be the agent learns nothing of the prompt, vouches for nothing, and fills no log', async (t) => {
  const { planner, model } = await plannerWithProvider(t, {
    config: { socket_mode: '0666' },
    inference: { only_way_to_model: true },
  });
  await t.test('it cannot find out the approved prompt byte by byte', async () => {
    const [prompt] = [promptOf(planner)];
    const replies = [];
    for (const guess of ['X', prompt.slice(0, 1), prompt.slice(0, -1), `${prompt} `, `${prompt}${prompt}`]) {
      const reply = await chat(planner, { system: guess });
      const { code, message, param, dimension, correlation_id: id, ...more } = errorOf(reply);
      assert.deepEqual([reply.status, code, dimension], [403, 'SYSTEM_PROMPT_DRIFT', 'system_prompt']);
      assert.deepEqual([param, more], ['messages[0].content', { type: 'ait_mesh' }]);
      replies.push(message.replace(id, ''));
    }
    assert.equal(new Set(replies).size, 1, `every guess is told the same: ${replies.join('\n')}`);
    assert.match(await planner.admin('/decisions'), /"byteOffset":1/, 'operators see where');
  });
  await t.test('a call of its own that matches is no call of the agent', async () => {
    assert.equal((await chat(planner)).status, 200);
    assert.equal(model.questions.length, 1);
    assert.doesNotMatch(await planner.admin('/status'), /in_use/);
  });
  await t.test('what is no request is answered, and written down a bounded number of times', async () => {
    const from = planner.sidecar.lines.length;
    for (let sent = 0; sent < 300; sent += 1) {
      const socket = connect({ path: modelSocket(planner) });
      let text = '';
      socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
      socket.write('GET \x01 HTTP/1.1\r\n\r\n');
      await once(socket, 'close');
      assert.match(text, /^HTTP\/1\.1 400 .*INFERENCE_REQUEST_INVALID/s);
    }
    const lines = planner.sidecar.lines.slice(from).filter(({ event }) => event === 'peer_refused');
    assert.ok(lines.length >= 100 && lines.length < 250, `${lines.length} lines`);
    const counted = await planner.metric('ait_connections_refused_total', { reason: 'INFERENCE_REQUEST_INVALID' });
    assert.equal(counted, 300, 'counted are all of them');
  });
});
