import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseSpiffeId } from '../../../../src/domain/agent-id.ts';
import { systemClock } from '../../../../src/platform/clock.ts';
import { systemRandom } from '../../../../src/platform/random.ts';
import type { DialResult } from '../../../../src/sidecar/exchange/dialler.ts';
import { SessionPool } from '../../../../src/sidecar/session/session-pool.ts';

const PEER = parseSpiffeId('spiffe://acme.example/agent/researcher');

test('a session that was being made while the certificate was rotated is not used for later connections', async () => {
  const dials: ((result: DialResult) => void)[] = [];
  const pool = new SessionPool({
    clock: systemClock,
    random: systemRandom,
    addressesOf: () => ({ addresses: ['127.0.0.1:1'], balanced: false }),
    dial: () => new Promise((resolve) => dials.push(resolve)),
    end: () => undefined,
  });
  const live = () =>
    ({ ok: true, session: { state: 'live', connections: new Set(), usedAt: 0 } }) as unknown as DialResult;
  const first = pool.sessionTo(PEER);
  pool.retireAll();
  dials[0]?.(live());
  await first;
  const second = pool.sessionTo(PEER);
  assert.equal(dials.length, 2, 'another session, of the new certificate, is made');
  dials[1]?.(live());
  assert.ok((await second).ok);
});
