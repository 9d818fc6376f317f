import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CallDecision } from '../../../../src/dataplane/gate/call.ts';
import { rejection } from '../../../../src/domain/rejection.ts';
import { decisionToWire } from '../../../../src/sidecar/wire-report.ts';
import { call, callRequest, outcome } from '../../../support/call-outcomes.ts';
import { PLANNER, RESEARCHER, callWorld, liveSession, stateWith } from '../../../support/call-world.ts';

function codeOf(decision: CallDecision): string {
  return decision.permitted ? `permitted as ${decision.label}` : decision.rejection.code;
}

test('what a grant covers goes on under the name of its pattern, and nothing else does', () => {
  const { policyFor } = callWorld();
  const policy = policyFor(liveSession());
  assert.equal(codeOf(policy.decide(callRequest())), 'permitted as /search.v1.Search/*');
  assert.equal(
    codeOf(policy.decide(callRequest({ path: '/search.v1.Search/Find?q=1' }))),
    'permitted as /search.v1.Search/*',
  );
  assert.equal(codeOf(policy.decide(callRequest({ path: '/admin.v1.Admin/Drop' }))), 'CALL_NOT_GRANTED');
  assert.equal(codeOf(policy.decide(callRequest({ path: '/search.v1.Search/../x' }))), 'CALL_PATH_AMBIGUOUS');
});

test('a grant goes from the one who dialled to the other: the way back is not permitted by it', () => {
  const { policyFor } = callWorld();
  assert.equal(codeOf(policyFor(liveSession('acceptor')).decide(callRequest())), 'GRANT_MISSING');
});

test('what was decided once is decided again as soon as the state is another, also the other way round', () => {
  const { policyFor, world } = callWorld();
  const policy = policyFor(liveSession());
  const [first, second] = [callRequest(), callRequest({ path: '/other' })];
  const both = () => [first, second].map((request) => policy.decide(request).permitted);
  assert.deepEqual(
    [both(), both()],
    [
      [true, false],
      [true, false],
    ],
  );
  world.state = stateWith([{ id: 'g2', calls: [{ path: '/other' }] }]);
  assert.deepEqual(both(), [false, true]);
  world.state = undefined;
  assert.equal(codeOf(policy.decide(first)), 'STATE_MISSING');
  assert.deepEqual(both(), [false, false]);
});

test('many different calls push out what is kept, and change no answer', () => {
  const { policyFor } = callWorld();
  const policy = policyFor(liveSession());
  for (let round = 0; round < 2; round += 1) {
    for (let index = 0; index < 3000; index += 1) {
      assert.ok(policy.decide(callRequest({ path: `/search.v1.Search/M${index}` })).permitted);
      assert.ok(!policy.decide(callRequest({ path: `/admin/${index}`, method: `M${index % 7}` })).permitted);
    }
  }
});

test('one path under two methods is two calls', () => {
  const { policyFor, world } = callWorld();
  world.state = stateWith([{ id: 'g', calls: [{ methods: ['GET'], path: '/docs' }] }]);
  const policy = policyFor(liveSession());
  const answers = ['GET', 'POST', 'GET'].map(
    (method) => policy.decide(callRequest({ method, path: '/docs' })).permitted,
  );
  assert.deepEqual(answers, [true, false, true]);
});

test('a sidecar that is out of order lets no call through, whatever was decided before', () => {
  const { policyFor, world } = callWorld();
  const policy = policyFor(liveSession());
  assert.ok(policy.decide(callRequest()).permitted);
  world.own = rejection('TOOLS_DRIFT', 'differs', { self: true });
  const decision = policy.decide(callRequest());
  assert.deepEqual(decision, { permitted: false, label: '/search.v1.Search/*', rejection: world.own });
});

test('a session that ended lets no call through, and its cause is the reason', () => {
  const { policyFor } = callWorld();
  const session = liveSession();
  const policy = policyFor(session);
  assert.ok(policy.decide(callRequest()).permitted);
  session.state = 'ended';
  session.cause = rejection('MODEL_DRIFT', 'differs');
  assert.equal(codeOf(policy.decide(callRequest())), 'MODEL_DRIFT');
  session.cause = undefined;
  assert.equal(codeOf(policy.decide(callRequest())), 'DATA_SESSION_UNKNOWN');
  session.state = 'proving';
  assert.equal(codeOf(policy.decide(callRequest())), 'DATA_SESSION_UNKNOWN');
});

for (const [who, id] of Object.entries({ caller: PLANNER, callee: RESEARCHER })) {
  test(`observe mode of the ${who} lets through what no grant covers, counts each and says so once, until it ends`, async () => {
    const { policyFor, world, lines, scrape, pass } = callWorld();
    const grants = [{ id: 'g1', calls: [{ path: '/search.v1.Search/*' }] }];
    world.state = stateWith(grants, { observed: { [id]: 1_000_500 } });
    const policy = policyFor(liveSession());
    const request = callRequest({ path: '/admin?token=1' });
    assert.equal(codeOf(policy.decide(request)), 'permitted as other');
    assert.equal(codeOf(policy.decide(request)), 'permitted as other', 'asked again while it is under way');
    assert.ok(policy.decide(callRequest({ path: '/admin?token=1' })).permitted);
    assert.match(await scrape(), /ait_would_deny_total\{reason="CALL_NOT_GRANTED"\} 2\n/);
    const told = lines.filter(({ event }) => event === 'would_deny');
    assert.deepEqual(
      told.map(({ code, call }) => [code, call]),
      [['CALL_NOT_GRANTED', { method: 'POST', path: '/admin', label: 'other', wasUnderWay: false }]],
    );
    world.state = stateWith(grants, { observed: { [id]: 1_000_500 }, content: 'another' });
    assert.ok(policy.decide(callRequest({ path: '/admin' })).permitted);
    assert.equal(lines.filter(({ event }) => event === 'would_deny').length, 2);
    pass(500);
    assert.equal(codeOf(policy.decide(request)), 'CALL_NOT_GRANTED');
  });
}

test('observe mode waives neither an own condition nor the end of a session', () => {
  const { policyFor, world } = callWorld();
  world.state = stateWith([], { observed: { [PLANNER]: 2e6, [RESEARCHER]: 2e6 } });
  const session = liveSession();
  const policy = policyFor(session);
  assert.ok(policy.decide(callRequest()).permitted);
  world.own = rejection('STATE_STALE', 'too old');
  assert.equal(codeOf(policy.decide(callRequest())), 'STATE_STALE');
  world.own = undefined;
  session.state = 'ended';
  assert.equal(codeOf(policy.decide(callRequest())), 'DATA_SESSION_UNKNOWN');
});

test('configuration names methods for metrics where no grant does, and permits nothing by that', () => {
  const { policyFor, world, settings } = callWorld({ methods: ['/docs/*', 'GET /docs/**'] });
  world.state = stateWith([{ id: 'all' }]);
  const policy = policyFor(liveSession());
  const labelOf = (path: string, method = 'GET') => policy.decide(callRequest({ path, method })).label;
  assert.deepEqual(
    [labelOf('/docs/a?b'), labelOf('/docs/a/b'), labelOf('/docs/a/b', 'PUT'), labelOf('/x'), labelOf('/docs/..')],
    ['/docs/*', 'GET /docs/**', 'other', 'other', 'other'],
  );
  Object.assign(settings, { named: callWorld({ methods: ['/x'] }).settings.named });
  assert.deepEqual([labelOf('/docs/a'), labelOf('/x')], ['other', '/x'], 'other settings count at once');
  world.state = stateWith([{ id: 'few', calls: [{ path: '/y' }] }]);
  const decision = policy.decide(callRequest({ path: '/x' }));
  assert.deepEqual([decision.permitted, decision.label], [false, '/x']);
});

test('a refused call is on record under the id that the caller was told, and the authority hears which it was', () => {
  const { policyFor, decisions, reported, lines } = callWorld();
  const session = liveSession();
  const policy = policyFor(session);
  const request = callRequest({ path: '/admin.v1.Admin/Drop?password=hunter2' });
  const decision = policy.decide(request);
  assert.ok(!decision.permitted);
  const facts = { grpcStatus: 7, source: 'sidecar', rejection: decision.rejection, correlationId: 'call-1' } as const;
  policy.ended(call({ request, label: decision.label }), outcome(facts));
  const [found] = decisions.recent();
  assert.deepEqual(
    { id: found?.correlationId, code: found?.rejection?.code, call: found?.call, session: found?.sessionId },
    {
      id: 'call-1',
      code: 'CALL_NOT_GRANTED',
      call: { method: 'POST', path: '/admin.v1.Admin/Drop', label: 'other', wasUnderWay: false },
      session: 'abc123',
    },
  );
  const [line] = lines.filter(({ event }) => event === 'call_refused');
  assert.equal(line?.['correlationId'], 'call-1');
  const [told] = reported.map(decisionToWire);
  assert.equal(told?.outcome, 'denied');
  assert.match(String(told?.detail), /call POST \/admin\.v1\.Admin\/Drop of spiffe:/);
  assert.doesNotMatch(JSON.stringify([lines, told, found]), /hunter2/);
});

test('a call that is cut says so; one that ends with its whole session is on record with that', async () => {
  const { policyFor, decisions, reported, lines, scrape } = callWorld();
  const session = liveSession();
  const policy = policyFor(session);
  const cause = rejection('CALL_STALLED', 'the caller reads nothing');
  for (const streamId of [1, 3]) policy.started(call({ streamId }));
  const cut = { grpcStatus: 8, source: 'sidecar', rejection: cause, correlationId: 'call-1' } as const;
  policy.ended(call({ streamId: 1 }), outcome(cut));
  policy.ended(call({ streamId: 3 }), outcome({ ...cut, correlationId: session.correlationId }));
  assert.deepEqual(
    decisions.recent().map(({ call }) => call?.wasUnderWay),
    [true],
  );
  assert.deepEqual(
    lines.map(({ event }) => event),
    ['call_cut'],
  );
  assert.match(
    String(reported.map(decisionToWire)[0]?.detail),
    /^cut under way: POST \/search\.v1\.Search\/Find: the caller reads nothing$/,
  );
  const text = await scrape();
  assert.match(text, /ait_calls_cut_total\{direction="outbound",reason="CALL_STALLED"\} 2\n/);
  assert.match(text, /ait_calls_inflight\{direction="outbound",peer="researcher"\} 0\n/);
});

test('a flood of refused calls fills neither log nor report, and washes no session out of the memory', () => {
  const { policyFor, decisions, reported, lines } = callWorld();
  const session = liveSession();
  decisions.terminated(session, rejection('TOOLS_DRIFT', 'differs'), { connections: 1, enforcementMs: 1, cutAt: 0 });
  const policy = policyFor(session);
  const cause = rejection('CALL_NOT_GRANTED', 'no grant');
  for (let index = 0; index < 5000; index += 1) {
    policy.ended(call(), outcome({ rejection: cause, source: 'sidecar', correlationId: `call-${index}` }));
  }
  assert.ok(lines.length < 300, `${lines.length} lines`);
  assert.ok(reported.length < 300, `${reported.length} reports`);
  const codes = decisions.recent().map(({ rejection: found }) => found?.code);
  assert.ok(codes.includes('TOOLS_DRIFT'));
  assert.ok(
    decisions.recent().some(({ correlationId }) => correlationId === 'call-4999'),
    'the newest can be explained',
  );
});

test('what stands in a log is bounded and printable, whatever was sent', () => {
  const { policyFor, decisions } = callWorld();
  const policy = policyFor(liveSession());
  const cause = rejection('CALL_NOT_GRANTED', 'no grant');
  const request = callRequest({ path: `/\u001b[2J\u009b${'a'.repeat(70_000)}`, method: 'P\n'.repeat(500) });
  policy.ended(call({ request }), outcome({ rejection: cause, correlationId: 'x' }));
  const { method = '', path = '' } = decisions.recent()[0]?.call ?? {};
  assert.ok(path.startsWith('/%1B[2J%9Baaa') && path.length < 300, path.slice(0, 40));
  assert.match(`${method}${path}`, /^[\x21-\x7e…]*$/);
  assert.ok(method.length < 100);
});

test('beyond the budget a new call of ours is refused, and one that is open goes on', () => {
  const { policyFor, world } = callWorld();
  const policy = policyFor(liveSession());
  world.room = 0;
  assert.equal(codeOf(policy.decide(callRequest())), 'CALL_BUDGET_EXCEEDED');
  assert.equal(policy.decide(callRequest(), true).permitted, true);
});

test('a call that goes on gives its place back once, and its answer tells how the instance fares', () => {
  const { policyFor, world } = callWorld();
  const policy = policyFor(liveSession());
  const answers = [
    outcome({ grpcStatus: 0 }),
    outcome({ grpcStatus: 14 }),
    outcome({ grpcStatus: undefined, httpStatus: 503 }),
    outcome({ grpcStatus: undefined, resetCode: 2 }),
    outcome({ grpcStatus: undefined, resetCode: 8, cancelled: true }),
    outcome({ grpcStatus: 14, source: 'peer' }),
    outcome({ grpcStatus: 14, source: 'sidecar', rejection: rejection('PEER_LOST', 'gone') }),
  ];
  for (const answer of answers) {
    policy.decide(callRequest());
    policy.started(call());
    policy.ended(call(), answer);
  }
  policy.ended(call(), outcome({ grpcStatus: 7, source: 'sidecar', rejection: rejection('CALL_NOT_GRANTED', 'no') }));
  assert.equal(world.given, answers.length);
  assert.deepEqual(world.health, ['ok', 'failed', 'failed', 'failed']);
});
