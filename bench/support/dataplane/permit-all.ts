import type { CallPolicy } from '../../../src/dataplane/gate/call.ts';
import type { GateOptions } from '../../../src/dataplane/gate/gate.ts';
import { IDENTITY_FIELD } from '../../../src/dataplane/gate/reserved-fields.ts';
import { TraceStarter } from '../../../src/dataplane/gate/trace-context.ts';
import { rejection } from '../../../src/domain/rejection.ts';
import { systemClock } from '../../../src/platform/clock.ts';
import { systemRandom } from '../../../src/platform/random.ts';
import type { Side } from '../proxies.ts';

const PERMIT_ALL: CallPolicy = {
  decide: () => ({ permitted: true, label: 'any' }),
  started: () => undefined,
  ended: () => undefined,
  violated: () => undefined,
  held: () => undefined,
};

/** What a gate is told that refuses nothing and tells nobody, and for the rest does what one of a sidecar does. */
export function permitAll(role: Side['role']): GateOptions {
  const traces = new TraceStarter(systemRandom);
  const identity = [
    { name: IDENTITY_FIELD.spiffeId, value: 'spiffe://bench.example/agent/caller' },
    { name: IDENTITY_FIELD.agent, value: 'caller' },
    { name: IDENTITY_FIELD.instance, value: '0f6c2d1a9b3e4857a1c2d3e4f5a6b7c8' },
    { name: IDENTITY_FIELD.baseline, value: 'caller-7d0e64396155' },
  ];
  return {
    policy: PERMIT_ALL,
    direction: role === 'client' ? 'outbound' : 'inbound',
    limits: { maxConcurrent: 1000, maxHeaderListBytes: 65_536, maxDeadlineMs: undefined, stallMs: 60_000 },
    clock: systemClock,
    newTraceparent: () => traces.start(),
    newCorrelationId: () => 'bench',
    calleeGone: () => rejection('PEER_LOST', 'the callee has closed the connection'),
    // As the real one: only the callee is told, and always in the same words.
    identity: () => (role === 'server' ? identity : []),
  };
}
