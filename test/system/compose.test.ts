import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { findProgram, run } from '../support/debian-program.ts';

const file = fileURLToPath(new URL('../../deploy/compose/compose.yaml', import.meta.url));

test('Compose itself accepts the file, and makes of its parts the services that it names', async () => {
  const program = findProgram('docker-compose', 'docker-compose');
  const { code, stdout, stderr } = await run(program, ['--file', file, 'config', '--services']);
  assert.equal(code, 0, stderr);
  const services = new Set(stdout.toString().trim().split('\n'));
  for (const agent of ['planner', 'researcher']) {
    for (const name of [agent, `${agent}-sidecar`, `${agent}-credential`]) assert.ok(services.has(name), name);
  }
  for (const name of ['authority', 'prometheus', 'grafana']) assert.ok(services.has(name), name);
});
