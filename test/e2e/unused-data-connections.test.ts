import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Attacker } from '../support/attacker.ts';
import { connectionOver } from '../support/connection-over.ts';
import { startMesh } from '../support/mesh.ts';
import { pollUntil } from '../support/poll-until.ts';

/** Long enough for all that is asked between two rotations, and a member that proves itself only once. */
const SLOW = { authority: { svid_lifetime: '24s' }, config: { timing: { lost_after: '1m' } } };

test('a data connection that is closed unused is on record, unless its caller met a rotation', async (t) => {
  const { authority, config } = SLOW;
  const mesh = await startMesh(t, {
    authority,
    agents: { planner: { calls: ['researcher'], start: false }, researcher: { config } },
  });
  const victim = mesh.agent('researcher');
  const attacker = await Attacker.of(t, mesh);
  const caller = attacker.member('planner');
  /** Opens one, sends these bytes and closes; what the victim has on record for it once it is gone on both sides. */
  const recordOf = async (identity: typeof caller, bytes = ''): Promise<readonly unknown[]> => {
    const from = victim.sidecar.mark();
    const socket = await attacker.tls(victim.inbound, { identity, ALPNProtocols: ['ait-data/1'] });
    socket.end(bytes);
    await connectionOver(socket);
    await pollUntil(
      () => victim.metric('ait_unauthenticated_connections'),
      (count) => count === 0,
    );
    // What was said before this answer is in the log before it, too.
    await victim.status();
    return victim.sidecar.lines.slice(from).flatMap(({ event, code }) => (event === 'peer_refused' ? [code] : []));
  };

  const from = victim.sidecar.mark();
  await attacker.admitted(victim.inbound, caller);
  assert.deepEqual(await recordOf(caller), ['DATA_PREFACE_INVALID'], 'nothing has rotated yet');
  await victim.waitFor('svid_renewed', () => true, { from, deadlineMs: 30_000 });
  assert.deepEqual(await recordOf(caller), [], 'it was shown a certificate that its session does not know');
  assert.deepEqual(await recordOf(caller, '\0'), ['DATA_PREFACE_INVALID'], 'it had begun');
  assert.deepEqual(await recordOf(attacker.member('planner')), ['DATA_PREFACE_INVALID'], 'it has no session');
});
