import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startInference } from '../support/inference.ts';

const LONG = { model: 'sim-small', messages: [{ role: 'user', content: 'write 320 words' }], stream: true } as const;

test('an SVID is renewed in time, new connections show the new one, and a stream goes on over the old', async (t) => {
  const mesh = await startInference(t, {
    authority: { svid_lifetime: '6s', outage_tolerance: '2s' },
    config: { tokens_per_second: 40 },
  });
  const connections = mesh.connections(await mesh.joinAgent());
  t.after(() => connections.destroy());
  const { tlsKey: before } = await mesh.ask(connections, '/v1/models');
  const stream = await mesh.openai(connections).chat.completions.create({ ...LONG, messages: [...LONG.messages] });
  const reading = (async () => {
    let text = '';
    for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? '';
    return text;
  })();
  await mesh.process.waitFor('svid_renewed');
  const renewed = mesh.connections(await mesh.joinAgent(), false);
  t.after(() => renewed.destroy());
  const { tlsKey: after } = await mesh.ask(renewed, '/v1/models');
  assert.notEqual(after, before);
  const text = await reading;
  assert.equal(text.split(' ').length, 322);
});

test('on SIGTERM an answer under way is finished, nobody new is let in, and the process ends well', async (t) => {
  const mesh = await startInference(t, { config: { tokens_per_second: 200 } });
  const certificate = await mesh.joinAgent();
  const connections = mesh.connections(certificate);
  t.after(() => connections.destroy());
  const stream = await mesh.openai(connections).chat.completions.create({ ...LONG, messages: [...LONG.messages] });
  let text = '';
  let late: Promise<unknown> | undefined;
  for await (const chunk of stream) {
    // Once: a second signal would end it at once.
    if (late === undefined) {
      mesh.process.signal('SIGTERM');
      late = mesh.process.waitFor('stopping').then(() => mesh.ask(mesh.connections(certificate, false), '/v1/models'));
      late.catch(() => undefined);
    }
    text += chunk.choices[0]?.delta.content ?? '';
  }
  assert.equal(text.split(' ').length, 322);
  // Reset, where the kernel had taken it before the port was closed.
  await assert.rejects(late ?? Promise.resolve(), { code: /^(ECONNREFUSED|ECONNRESET)$/ });
  assert.equal(await mesh.process.exited, 0);
});

test('a service whose certificate is revoked answers nobody any more', async (t) => {
  const mesh = await startInference(t);
  const certificate = await mesh.joinAgent();
  const connections = mesh.connections(certificate);
  t.after(() => connections.destroy());
  assert.equal((await mesh.ask(connections, '/v1/models')).status, 200);
  const joined = await mesh.process.waitFor('joined');
  await mesh.authority.writePolicy('revocation', {
    kind: 'Revocation',
    id: 'r-1',
    instance: joined['instance'],
    reason: 'stolen',
  });
  await mesh.process.waitFor('revoked', () => true, { deadlineMs: 20_000 });
  await assert.rejects(mesh.ask(connections, '/v1/models'), { code: /ECONNRESET|EPIPE/ });
  await assert.rejects(mesh.ask(mesh.connections(certificate, false), '/v1/models'), { code: 'ECONNRESET' });
});
