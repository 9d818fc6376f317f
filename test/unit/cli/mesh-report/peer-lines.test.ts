import assert from 'node:assert/strict';
import { stripVTControlCharacters } from 'node:util';
import { test } from 'node:test';
import { peerLines, type PeerView } from '../../../../src/cli/mesh-report/peer-lines.ts';

const CALM: PeerView = {
  agent: 'spiffe://acme.example/agent/researcher',
  circuit: 'closed',
  retryInMs: 0,
  known: 3,
  instances: [],
  budget: {
    connections: { used: 2, limit: 4096 },
    pending: { used: 0, limit: 1024 },
    calls: { used: 7, limit: 8192 },
  },
};
const LIVE = {
  address: '10.0.0.8:17443',
  state: 'live',
  connections: 2,
  failures: 0,
  ejectedForMs: 0,
  lastFailure: '',
};
const EJECTED = {
  ...LIVE,
  address: '10.0.0.9:17443',
  state: 'ejected',
  connections: 0,
  failures: 5,
  ejectedForMs: 3100,
  lastFailure: 'PEER_REFUSED: UNAVAILABLE\u001B[2J',
};

const shown = (peer: PeerView) => peerLines([peer]).map(stripVTControlCharacters);

test('a peer that is well takes one line, and each instance one, the ejected first and with the reason', () => {
  assert.deepEqual(shown({ ...CALM, instances: [LIVE, EJECTED] }), [
    'researcher  3 address(es) known, connections 2/4096, waiting 0/1024, calls 7/8192',
    '  10.0.0.9:17443  ejected for another 4 s, 0 connection(s), 5 failure(s) in a row: PEER_REFUSED: UNAVAILABLE\\u{1b}[2J',
    '  10.0.0.8:17443  live, 2 connection(s)',
  ]);
});

test('an open circuit says since what, and when it is tried again', () => {
  const lastCause = { code: 'PEER_UNREACHABLE', detail: '10.0.0.8:17443: refused' };
  const [open] = shown({ ...CALM, circuit: 'open', retryInMs: 1200, lastCause });
  assert.match(open ?? '', /; circuit open, tried again in 2 s: PEER_UNREACHABLE: 10\.0\.0\.8:17443: refused$/);
  const [halfOpen] = shown({ ...CALM, circuit: 'half_open', lastCause });
  assert.match(halfOpen ?? '', /; circuit half open: PEER_UNREACHABLE/);
  const [resting] = shown({ ...CALM, circuit: 'resting', retryInMs: 300, lastCause });
  assert.match(resting ?? '', /; refused a moment ago, tried again in 1 s: PEER_UNREACHABLE/);
});
