import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { SoakEvent } from '../../../bench/support/soak-events.ts';
import {
  explainCall,
  explainComplaint,
  groupComplaints,
  isEndOfCertificate,
  type Complaint,
} from '../../../bench/support/soak-verdict.ts';
import type { FailedCall } from '../../support/steady-calls.ts';

const AT = Date.parse('2026-01-01T00:00:00Z');
/** Each of five agents calls the next. */
const relations = {
  agentOf: (pod: string) => pod.replace(/-[ab]$/, ''),
  calls: (from: string, to: string) => (Number(from.slice(-1)) + 1) % 5 === Number(to.slice(-1)),
};

function event(kind: SoakEvent['kind'], more: Partial<SoakEvent> = {}): SoakEvent {
  return { kind, from: AT, until: AT + 1000, ...more };
}

function complaint(
  writer: string,
  name: string,
  more: { readonly code?: string; readonly afterMs?: number } = {},
): Complaint {
  const { code, afterMs = 500 } = more;
  const ts = new Date(AT + afterMs).toISOString();
  return { writer, line: { event: name, level: 'warn', ts, ...(code !== undefined && { code }) } };
}

function call(more: Partial<FailedCall> = {}): FailedCall {
  const base = { from: 'agent-1-a', to: 'agent-2', kind: 'grpc', error: 'UNAVAILABLE' };
  return { ...base, startedAt: AT + 400, failedAt: AT + 500, ...more };
}

describe('a line of the log is explained', () => {
  const killed = event('kill -9 of a sidecar', { pod: 'agent-1-a', agent: 'agent-1' });
  const lost = { code: 'PEER_LOST' };

  test('by what was done at that time, to somebody whom it concerns, and brings about such a line', () => {
    const explained = explainComplaint(complaint('agent-0-b', 'session_terminated', lost), [killed], relations);
    assert.equal(explained, 'kill -9 of a sidecar');
  });

  for (const [why, unexplained] of Object.entries({
    'nothing was done': { events: [], line: complaint('agent-0-b', 'session_terminated', lost) },
    'it was written before': { line: complaint('agent-0-b', 'session_terminated', { ...lost, afterMs: -1 }) },
    'it was written long after': { line: complaint('agent-0-b', 'session_terminated', { ...lost, afterMs: 3001 }) },
    'it is about something else': { line: complaint('agent-0-b', 'session_terminated', { code: 'REVOKED' }) },
    'it has no code': { line: complaint('agent-0-b', 'defect') },
    'its writer has nothing to do with that': { line: complaint('agent-3-b', 'session_terminated', lost) },
    'it is the end of a certificate': {
      line: complaint('agent-0-b', 'session_terminated', { code: 'CERTIFICATE_EXPIRED' }),
    },
  } satisfies Record<string, { readonly line: Complaint; readonly events?: readonly SoakEvent[] }>)) {
    test(`not when ${why}`, () => {
      const { line, events = [killed] } = unexplained as {
        readonly line: Complaint;
        readonly events?: readonly SoakEvent[];
      };
      assert.equal(explainComplaint(line, events, relations), undefined);
    });
  }

  test('an authority that is away explains that it is not reached, and no end of any session', () => {
    const away = [event('authority away')];
    assert.equal(explainComplaint(complaint('agent-3-a', 'svid_renewal_failed'), away, relations), 'authority away');
    for (const code of ['CERTIFICATE_EXPIRED', 'PEER_LOST', 'TLS_HANDSHAKE_FAILED', 'AIT_MISSING']) {
      assert.equal(
        explainComplaint(complaint('agent-3-a', 'session_terminated', { code }), away, relations),
        undefined,
      );
    }
  });

  test('by the set-up, whenever it is, if it is one of the few lines that the set-up brings about', () => {
    assert.equal(explainComplaint(complaint('authority', 'svids_end_before_tolerance'), [], relations), 'setup');
    assert.equal(explainComplaint(complaint('authority', 'ends_soon'), [], relations), undefined);
  });
});

describe('a failed call is explained', () => {
  const drained = event('drain and restart', { pod: 'agent-2-b', agent: 'agent-2' });

  test('by what was done to the agent that was called, or to the instance that called', () => {
    assert.equal(explainCall(call(), [drained]), 'drain and restart');
    assert.equal(explainCall(call({ from: 'agent-2-b', to: 'agent-3' }), [drained]), 'drain and restart');
  });

  test('not by what was done to another instance of the agent that called', () => {
    assert.equal(explainCall(call({ from: 'agent-2-a', to: 'agent-3' }), [drained]), undefined);
  });

  test('not by an authority that was away, nor by what was over before it began', () => {
    assert.equal(explainCall(call(), [event('authority away'), event('kill -9 of the authority')]), undefined);
    assert.equal(explainCall(call({ startedAt: AT + 3001, failedAt: AT + 3100 }), [drained]), undefined);
    assert.equal(explainCall(call({ startedAt: AT - 200, failedAt: AT - 100 }), [drained]), undefined);
  });

  test('by a grant that was withdrawn only for who may no longer call whom', () => {
    const withdrawn = [event('grant withdrawn', { agent: 'agent-1', callee: 'agent-2' })];
    assert.equal(explainCall(call(), withdrawn), 'grant withdrawn');
    assert.equal(explainCall(call({ to: 'agent-3' }), withdrawn), undefined);
    assert.equal(explainCall(call({ from: 'agent-0-a' }), withdrawn), undefined);
  });
});

test('a call that ended when a certificate of either side did is told from others, and is no less a failure', () => {
  const ended = [complaint('agent-2-a', 'session_terminated', { code: 'CERTIFICATE_EXPIRED' })];
  assert.equal(isEndOfCertificate(call(), ended), true);
  assert.equal(isEndOfCertificate(call({ to: 'agent-3' }), ended), false);
  assert.equal(
    isEndOfCertificate(call(), [complaint('agent-2-a', 'session_terminated', { code: 'PEER_LOST' })]),
    false,
  );
});

test('what is not explained is grouped by what it says, most first, and none is lost', () => {
  const lines = [
    complaint('agent-0-a', 'state_watch_broken'),
    complaint('agent-1-a', 'peer_refused', { code: 'PEER_LOST' }),
    complaint('agent-2-a', 'peer_refused', { code: 'PEER_LOST' }),
    complaint('agent-3-a', 'peer_refused', { code: 'REVOKED' }),
  ];
  const groups = groupComplaints(lines);
  assert.deepEqual(groups[0], { what: 'peer_refused PEER_LOST', count: 2, example: lines[1] });
  assert.equal(
    groups.reduce((sum, { count }) => sum + count, 0),
    lines.length,
  );
});
