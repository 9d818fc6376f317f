import assert from 'node:assert/strict';
import { test } from 'node:test';
import pc from 'picocolors';
import { findDecision, type AskedSidecar, type DecisionRecord } from '../../../../src/cli/explain/decision-record.ts';
import { renderExplanation } from '../../../../src/cli/explain/explanation.ts';
import { rejection } from '../../../../src/domain/rejection.ts';

const PLANNER = 'spiffe://dev.local/agent/planner';
const RESEARCHER = 'spiffe://dev.local/agent/researcher';
const plain = pc.createColors(false);

function decision(fields: Partial<DecisionRecord>): DecisionRecord {
  return {
    at: 1_000_000,
    outcome: 'refused',
    correlationId: 'id-1',
    subject: RESEARCHER,
    direction: 'outbound',
    remoteAddress: '',
    ...fields,
  };
}

function sidecar(agent: string, decisions: DecisionRecord[]): AskedSidecar {
  return { socket: `/run/${agent}`, status: { agent, inOrder: true }, decisions };
}

const drift = rejection('SYSTEM_PROMPT_DRIFT', 'differs from baseline planner-1 in system_prompt', {
  self: true,
  nearestBaseline: 'planner-1',
  differences: [
    { dimension: 'system_prompt', item: 'main', expected: 'ait-text-1 sha256:aa', observed: 'ait-text-1 sha256:bb' },
  ],
});
const cut = decision({
  outcome: 'terminated',
  rejection: drift,
  connections: 2,
  enforcementMs: 3.14,
  textDifference: { prompt: 'main', whitespaceOnly: true, byteOffset: 456, line: 14, column: 1 },
});

test('drift is explained in full: both digests, the baseline, the place, what was cut and what to do', () => {
  const found = findDecision([sidecar(PLANNER, [cut])], { agent: 'planner' });
  assert.ok(found);
  const text = renderExplanation(found, plain);
  assert.match(text, /^planner is cut off: its system prompt drifted\n/);
  for (const part of [
    'approved  ait-text-1 sha256:aa',
    'observed  ait-text-1 sha256:bb',
    'baseline planner-1',
    'only whitespace differs, from byte 456 on (line 14, column 1)',
    '2 data connection(s) and the session, 3.1 ms after it was detected',
    'id-1 (the same on both sides)',
    'What to do  If the change was intended, approve it first',
  ]) {
    assert.ok(text.includes(part), `${part} is missing in:\n${text}`);
  }
});

test('calls that go on being refused do not hide how it began', () => {
  const again = [40_000, 30_000, 20_000].map((later) => decision({ at: cut.at + later, rejection: drift }));
  const found = findDecision([sidecar(PLANNER, [...again, cut])], { agent: 'planner' });
  assert.equal(found?.decision.outcome, 'terminated');
  assert.equal(found?.repeats, 3);
});

test('the side that knows the reason is asked, not the one that was merely told', () => {
  const told = decision({
    at: cut.at + 5,
    outcome: 'terminated',
    subject: PLANNER,
    direction: 'inbound',
    rejection: rejection('PEER_ENDED', 'the peer says DRIFT', { peerSaid: { reason: 'DRIFT', correlationId: 'id-1' } }),
  });
  const found = findDecision([sidecar(RESEARCHER, [told]), sidecar(PLANNER, [cut])], { agent: 'planner' });
  assert.equal(found?.decision.rejection?.code, 'SYSTEM_PROMPT_DRIFT');
});

test('hearsay is all there is: what the peer said and where to look', () => {
  const told = decision({
    outcome: 'terminated',
    rejection: rejection('PEER_ENDED', 'the peer says DRIFT', { peerSaid: { reason: 'DRIFT', correlationId: 'id-7' } }),
  });
  const found = findDecision([sidecar(PLANNER, [told])], { agent: 'researcher' });
  assert.ok(found);
  assert.match(renderExplanation(found, plain), /peer said +DRIFT; its own log has the reason under id-7/);
});

test('where time decided, both clocks and their difference are shown', () => {
  const expired = decision({
    outcome: 'denied',
    subject: PLANNER,
    direction: 'inbound',
    rejection: rejection('AIT_EXPIRED', 'the token has expired', {
      clocks: { ours: 700_000, theirs: 100_000, what: 'end of the token (exp)' },
    }),
  });
  const found = findDecision([sidecar(RESEARCHER, [expired])], { agent: 'planner' });
  assert.ok(found);
  const text = renderExplanation(found, plain);
  assert.match(text, /end of the token \(exp\) +1970-01-01T00:01:40\.000Z/);
  assert.match(text, /our clock +1970-01-01T00:11:40\.000Z, 10 min past it/);
  assert.match(text, /^researcher refused planner: AIT_EXPIRED\n/);
});

test('ends in good order explain nothing, unless they are asked for by id', () => {
  const idle = decision({ outcome: 'terminated', rejection: rejection('IDLE', 'idle') });
  assert.equal(findDecision([sidecar(PLANNER, [idle])], { agent: 'planner' }), undefined);
  assert.ok(findDecision([sidecar(PLANNER, [idle])], { agent: 'planner', id: 'id-1' }));
});

test('an agent whose name merely ends alike is not meant', () => {
  assert.equal(findDecision([sidecar('spiffe://dev.local/agent/my-planner', [cut])], { agent: 'planner' }), undefined);
});

test('of drift in use, the call that shows the place is explained, but not one that drifted in something else', () => {
  const inUse = { correlationId: 'id-2' };
  const prompt = decision({
    subject: 'self',
    rejection: { ...drift, inUse: { correlationId: 'id-1' } },
    where: { at: 'messages[0].content', prompt: 'main', observedBytes: 5, byteOffset: 4 },
  });
  const tools = decision({
    at: prompt.at + 1000,
    subject: 'self',
    correlationId: 'id-2',
    rejection: rejection('TOOLS_DRIFT', 'in use: tools[3] is not approved as it is offered', { self: true, inUse }),
  });
  assert.equal(findDecision([sidecar(PLANNER, [prompt])], { agent: 'planner' })?.decision, prompt);
  assert.equal(findDecision([sidecar(PLANNER, [tools, prompt])], { agent: 'planner' })?.decision, tools);
});

test('what our own agent said to nobody is its own, and told before any stranger', () => {
  const known = ['researcher.mesh', 'writer.mesh'];
  const mine = decision({
    subject: '',
    remoteAddress: '127.0.0.1:17001',
    rejection: rejection('PROXY_TARGET_UNKNOWN', 'CONNECT api.example:443', { known }),
  });
  const scanner = decision({
    at: mine.at + 60_000,
    subject: '',
    direction: 'inbound',
    rejection: rejection('TLS_HANDSHAKE_FAILED', 'no'),
  });
  const found = findDecision([sidecar(PLANNER, [scanner, mine])], { agent: 'planner' });
  assert.equal(found?.decision, mine);
  const text = renderExplanation(found, plain);
  assert.match(text, /^A connection of planner was refused: PROXY_TARGET_UNKNOWN\n/);
  for (const part of ['its own agent, at 127.0.0.1:17001', 'researcher.mesh, writer.mesh', 'NO_PROXY']) {
    assert.ok(text.includes(part), `${part} is missing in:\n${text}`);
  }
});
