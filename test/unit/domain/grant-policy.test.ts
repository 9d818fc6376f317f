import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseSpiffeId } from '../../../src/domain/agent-id.ts';
import type { CallPattern } from '../../../src/domain/calls/call-pattern.ts';
import { createGrantTable, type Grant } from '../../../src/domain/grant-policy.ts';

const [a, b, c] = ['a', 'b', 'a/b'].map((name) => parseSpiffeId(`spiffe://acme.example/agent/${name}`)) as [
  never,
  never,
  never,
];

test('no grants: nobody may', () => {
  assert.deepEqual(createGrantTable([]).decide({ from: a, to: b }), { allowed: false });
});

test('a grant is for exactly its pair: not the way back, not itself, not a longer name', () => {
  const policy = createGrantTable([{ id: 'g', from: a, to: b }]);
  assert.deepEqual(policy.decide({ from: a, to: b }), { allowed: true, grant: 'g' });
  for (const request of [
    { from: b, to: a },
    { from: a, to: a },
    { from: b, to: b },
    { from: c, to: b },
    { from: a, to: c },
  ]) {
    assert.deepEqual(policy.decide(request), { allowed: false });
  }
});

test('the same name in another trust domain is somebody else', () => {
  const policy = createGrantTable([{ id: 'g', from: a, to: b }]);
  const stranger = parseSpiffeId('spiffe://evil.example/agent/a');
  assert.deepEqual(policy.decide({ from: stranger, to: b }), { allowed: false });
});

/** Calls from a to b under these lists, one grant each. */
function calls(...lists: readonly (readonly CallPattern[] | undefined)[]) {
  const grants = lists.map((each, index): Grant => {
    return { id: `g${index}`, from: a, to: b, ...(each !== undefined && { calls: each }) };
  });
  const policy = createGrantTable(grants);
  return (method: string, path: string) => policy.decideCall({ from: a, to: b, method, path });
}

const FIND: CallPattern = { methods: ['POST'], path: '/search.v1.Search/Find' };
const ALL: CallPattern = { path: '/search.v1.Search/*' };

test('a grant that lists no calls permits every call, however it is spelled, and what cannot be seen', () => {
  const decide = calls(undefined);
  for (const path of ['/', '/a//../b;%2F', '*', '']) {
    assert.deepEqual(decide('POST', path), { allowed: true, grant: 'g0', label: 'other' });
  }
  assert.equal(createGrantTable([{ id: 'g', from: a, to: b }]).allowsOpaque({ from: a, to: b }), true);
});

test('no grant for the pair: no call, in its own words', () => {
  const policy = createGrantTable([{ id: 'g', from: a, to: b, calls: [{ path: '/**' }] }]);
  const decision = policy.decideCall({ from: b, to: a, method: 'GET', path: '/x' });
  assert.equal(decision.allowed ? 'allowed' : decision.code, 'GRANT_MISSING');
  assert.equal(policy.allowsOpaque({ from: b, to: a }), false);
});

test('listed calls are permitted by method and path, the query aside; the label is the pattern as written', () => {
  const decide = calls([FIND]);
  const label = 'POST /search.v1.Search/Find';
  assert.deepEqual(decide('POST', '/search.v1.Search/Find?x=1'), { allowed: true, grant: 'g0', label });
  for (const [method, path] of [
    ['GET', '/search.v1.Search/Find'],
    ['post', '/search.v1.Search/Find'],
    ['POST', '/search.v1.Search/find'],
    ['POST', '/search.v1.Search/FindAll'],
    ['POST', '/search.v1.Search'],
    ['POST', '/x/search.v1.Search/Find'],
  ] as const) {
    const decision = decide(method, path);
    assert.equal(decision.allowed ? 'allowed' : decision.code, 'CALL_NOT_GRANTED', `${method} ${path}`);
    assert.equal(decision.label, 'other');
  }
});

test('where calls are listed, a path of two readings is refused as such, even under /**', () => {
  for (const path of ['/search.v1.Search//Find', '/a/../search.v1.Search/Find', '/search.v1.Search/%46ind', '*']) {
    const decision = calls([{ path: '/**' }])('POST', path);
    assert.equal(decision.allowed ? 'allowed' : decision.code, 'CALL_PATH_AMBIGUOUS', path);
  }
});

test('a literal equals no escape and no part of one', () => {
  for (const [pattern, path] of [
    ['/a:run', '/a%3Arun'],
    ['/*20', '/a%20'],
    ['/a*20b', '/a%20b'],
  ] as const) {
    assert.equal(calls([{ path: pattern }])('GET', path).allowed, false, `${pattern} ${path}`);
  }
  assert.equal(calls([{ path: '/*' }])('GET', '/a%20b').allowed, true);
});

test('several grants for one pair permit what any of them does', () => {
  const both = calls([FIND], [{ path: '/docs/**' }]);
  assert.equal(both('POST', '/search.v1.Search/Find').allowed, true);
  assert.deepEqual(both('GET', '/docs/x'), { allowed: true, grant: 'g1', label: '/docs/**' });
  assert.equal(both('GET', '/search.v1.Search/Find').allowed, false);

  const open = calls([FIND], undefined);
  assert.deepEqual(open('POST', FIND.path), { allowed: true, grant: 'g0', label: 'POST /search.v1.Search/Find' });
  assert.deepEqual(open('GET', '/a//b'), { allowed: true, grant: 'g1', label: 'other' });
});

test('a path without wildcards names the call before one with them does', () => {
  assert.equal(calls([ALL, FIND])('POST', FIND.path).label, 'POST /search.v1.Search/Find');
  assert.equal(calls([ALL, FIND])('GET', FIND.path).label, '/search.v1.Search/*');
});

test('an opaque connection needs a grant that lists no calls', () => {
  const listed: Grant = { id: 'g', from: a, to: b, calls: [{ path: '/**' }] };
  assert.equal(createGrantTable([listed]).allowsOpaque({ from: a, to: b }), false);
  assert.equal(createGrantTable([listed, { id: 'h', from: a, to: b }]).allowsOpaque({ from: a, to: b }), true);
});

test('an empty list of calls never means all: such a grant permits nothing', () => {
  const policy = createGrantTable([{ id: 'g', from: a, to: b, calls: [] }]);
  assert.deepEqual(policy.decide({ from: a, to: b }), { allowed: false });
  assert.equal(policy.allowsOpaque({ from: a, to: b }), false);
  assert.equal(policy.decideCall({ from: a, to: b, method: 'GET', path: '/' }).allowed, false);
});

test('what is said of a refused call is one bounded line without the query', () => {
  for (const [method, path] of [
    ['POST', `/x/${'y'.repeat(5000)}?token=secret`],
    ['PO\nST', '/x?token=secret'],
    ['POST', '/x//\n?token=secret'],
    ['M'.repeat(5000), '/x?token=secret'],
  ] as const) {
    const decision = calls([FIND])(method, path);
    assert.ok(!decision.allowed);
    assert.match(decision.detail, /^[ -~…]{1,500}$/);
    assert.doesNotMatch(decision.detail, /secret/);
  }
});
