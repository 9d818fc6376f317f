import assert from 'node:assert/strict';
import { test } from 'node:test';
import { meshOfInstances } from '../support/instances.ts';
import { pollUntil } from '../support/poll-until.ts';

const PATIENT = { deadlineMs: 30_000 };

test('when all instances fail again and again the circuit opens: refused at once, nobody is asked; it closes by itself', async (t) => {
  const { planner, instances } = await meshOfInstances(t, { names: ['researcher-a', 'researcher-b'] });
  assert.equal(await planner.call('researcher', 'well'), 'well');
  for (const { app } of instances) await app.leave();
  const opened = planner.waitFor('circuit_opened', () => true, PATIENT);
  await pollUntil(
    async () => {
      await planner.call('researcher').catch(() => 'refused');
      return planner.metric('ait_circuit_open', { peer: 'researcher' });
    },
    (isOpen) => isOpen === 1,
    PATIENT,
  );
  assert.match(String((await opened)['detail']), /UNAVAILABLE/);
  await pollUntil(
    async () => {
      await planner.call('researcher').catch(() => 'refused');
      return planner.metric('ait_connections_refused_total', { direction: 'outbound', reason: 'CIRCUIT_OPEN' });
    },
    (refused) => refused > 0,
    PATIENT,
  );
  const refused = await planner.waitForVerdict({ code: 'CIRCUIT_OPEN' });
  assert.match(String(refused['detail']), /failures in a row.*PEER_REFUSED/);

  for (const { app } of instances) await app.listen();
  await pollUntil(
    () => planner.call('researcher', 'again').catch(() => 'refused'),
    (answer) => answer === 'again',
    PATIENT,
  );
  await planner.waitFor('circuit_closed');
  assert.equal(await planner.metric('ait_circuit_open', { peer: 'researcher' }), 0);
  assert.equal((await planner.peer('researcher')).circuit, 'closed');
});
