import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseOperatorChanges } from '../../../../src/authority/policy/operator-changes.ts';
import { formatCallPattern } from '../../../../src/domain/calls/call-pattern.ts';
import { parseStateObject, stateObjectToJson } from '../../../../src/domain/state-objects.ts';
import { TRUST_DOMAIN } from '../../../support/authority-harness.ts';
import { assertApplied, assertRefused, FragileStore, oneSession, openLedger } from '../../../support/ledger-world.ts';
import { POLICY } from '../../../support/policy-files.ts';

const PAIR = { from: 'planner', to: 'researcher' };
const { 'grants/planner.yaml': _, ...NO_GRANT } = POLICY;
const listing = (...calls: readonly string[]) => ({
  ...NO_GRANT,
  'grants/planner.yaml': `kind: Grant\nfrom: planner\nto: researcher\ncalls:\n${calls.map((call) => `  - ${call}\n`).join('')}`,
});

type Ledger = Awaited<ReturnType<typeof openLedger>>;

async function withFiles(files: Readonly<Record<string, string>>, store?: FragileStore): Promise<Ledger> {
  const opened = await openLedger(store);
  await opened.files(files);
  return opened;
}

/** What each grant in force permits; `*` is every call. A sidecar must be able to read it. */
function granted({ ledger }: Ledger): readonly string[] {
  return ledger
    .objects()
    .filter(({ kind }) => kind === 'grant')
    .map((object) => parseStateObject(stateObjectToJson(object)))
    .map((object) => (object.kind === 'grant' ? object.value.calls : undefined))
    .map((calls) => calls?.map(formatCallPattern).join(', ') ?? '*');
}

const add = (...calls: readonly string[]) => ({ action: 'add_grant', ...PAIR, ...(calls.length > 0 && { calls }) });
const limit = (...calls: readonly string[]) => ({ action: 'limit_grant', ...PAIR, calls });
const withdraw = { action: 'withdraw_grant', ...PAIR };

describe('a grant of an operator', () => {
  test('is added with calls, widened by more of them, and at last to every call', async () => {
    const store = new FragileStore();
    const opened = await withFiles(NO_GRANT, store);
    assertApplied(await opened.change(add('POST /a')));
    assertApplied(await opened.change(add('/b', 'POST /a')));
    assert.deepEqual(granted(opened), ['POST /a, /b']);
    assert.deepEqual(granted(await openLedger(store)), ['POST /a, /b'], 'over a restart, too');
    const again = await opened.change(add('/b'));
    assert.ok(again.ok && !again.applied && again.notes.includes('the grant is in force already'));
    assertApplied(await opened.change(add()));
    assert.deepEqual(granted(opened), ['*']);
    const narrower = await opened.change(add('/c'));
    assert.ok(narrower.ok && !narrower.applied, 'adding never takes away');
  });

  test('is limited, never to more; undo brings back what it permitted', async () => {
    const opened = await withFiles(NO_GRANT);
    assertApplied(await opened.change(add()));
    assertApplied(await opened.change(limit('/a/*', 'GET /b')));
    assert.deepEqual(granted(opened), ['/a/*, GET /b']);
    assertApplied(await opened.change(limit('GET /b')));
    assertRefused(
      await opened.change(limit('/a/*')),
      'CHANGE_INVALID',
      /\/a\/\* is not one of the calls.*ait grant add/,
    );
    // As written: a glob that covers a path does not list it.
    assertRefused(await opened.change(limit('GET /b', '/b')), 'CHANGE_INVALID', /\/b is not one of the calls/);
    assert.deepEqual(granted(opened), ['GET /b']);
    const same = await opened.change(limit('GET /b'));
    assert.ok(same.ok && !same.applied);
    assertApplied(await opened.ledger.undo({ operator: 'ada' }));
    assert.deepEqual(granted(opened), ['/a/*, GET /b']);
  });

  test('does not grow without end, and what is too much changes nothing', async () => {
    const opened = await withFiles(NO_GRANT);
    const many = (from: number) => Array.from({ length: 60 }, (_, index) => `/${from + index}`);
    assertApplied(await opened.change(add(...many(0))));
    assertRefused(await opened.change(add(...many(60))), 'CHANGE_INVALID', /more than 100 calls/);
    assert.deepEqual(granted(opened), [many(0).join(', ')]);
  });
});

describe('a grant of a file', () => {
  test('is limited by an operator, which reading the file again does not take back; the operator may, in part or whole', async () => {
    const opened = await withFiles(POLICY);
    assertApplied(await opened.change(limit('POST /a')));
    await opened.files({ ...POLICY, 'grants/planner.yaml': `# again\n${POLICY['grants/planner.yaml']}` });
    assert.deepEqual(granted(opened), ['POST /a']);
    assertApplied(await opened.change(add('/b')));
    assert.deepEqual(granted(opened), ['POST /a, /b']);
    assertApplied(await opened.change(withdraw));
    assert.deepEqual(granted(opened), []);
    assertApplied(await opened.change(add('/b')));
    assert.deepEqual(granted(opened), ['/b']);
    assertApplied(await opened.change(add()));
    assert.deepEqual(granted(opened), ['*']);
  });

  test('that lists calls is not widened by an operator', async () => {
    const opened = await withFiles(listing('POST /a', '/b'));
    for (const change of [add('/c'), add()]) {
      assertRefused(await opened.change(change), 'OWNED_BY_FILE', /grants\/planner\.yaml:1.*change `calls` there/);
    }
    assertRefused(await opened.change(limit('/c')), 'CHANGE_INVALID', /\/c is not one of the calls/);
    assertApplied(await opened.change(limit('/b')));
    assertRefused(await opened.change(add('/c')), 'OWNED_BY_FILE');
    assert.deepEqual(granted(opened), ['/b']);
    const whole = await opened.change(add());
    assert.ok(whole.ok && whole.notes.includes('it permits the calls that its file lists'));
    assert.deepEqual(granted(opened), ['POST /a, /b']);
  });

  test("permits, under an operator's limit, only what both list, whatever becomes of the file", async () => {
    const opened = await withFiles(listing('/a', '/b'));
    assertApplied(await opened.change(limit('/b')));
    await opened.files(listing('/b', '/c'));
    assert.deepEqual(granted(opened), ['/b']);
    await opened.files(listing('/c'));
    assert.deepEqual(granted(opened), [], 'nothing is left, and that is no grant');
    await opened.files(POLICY);
    assert.deepEqual(granted(opened), ['/b']);
  });

  test('under a limit does not grow past what a sidecar reads', async () => {
    const opened = await withFiles(POLICY);
    const many = (from: number) => Array.from({ length: 60 }, (_, index) => `/${from + index}`);
    assertApplied(await opened.change(limit(...many(0))));
    assertRefused(await opened.change(add(...many(60))), 'CHANGE_INVALID', /more than 100 calls/);
    assert.deepEqual(granted(opened), [many(0).join(', ')]);
  });
});

test('several grants of one pair are limited together', async () => {
  const second = 'kind: Grant\nid: second\nfrom: planner\nto: researcher\ncalls: [/b, /c]\n';
  const opened = await withFiles({ ...listing('/a', '/b'), 'grants/second.yaml': second });
  assertApplied(await opened.change(limit('/b', '/c')));
  assert.deepEqual(granted(opened), ['/b', '/b, /c']);
  assertApplied(await opened.change(limit('/c')));
  assert.deepEqual(granted(opened), ['/c']);
});

test('there is nothing to limit where there is no grant', async () => {
  const opened = await withFiles(NO_GRANT);
  assertRefused(await opened.change(limit('/a')), 'NOT_FOUND', /no grant lets .*planner connect to .*researcher/);
});

test('the brake counts sessions: other calls end none, also where it is not known yet who has some', async () => {
  const opened = await withFiles(POLICY);
  opened.world.reported = oneSession();
  const limited = await opened.change(limit('/a'));
  assert.ok(limited.ok && limited.applied && limited.impact.ending === 0 && limited.impact.total === 1);
  Object.assign(opened.world, { reported: [], complete: false });
  assertApplied(await opened.change(add()));
  assertApplied(await opened.change(limit('/b')));
  assertRefused(await opened.change(withdraw), 'IMPACT_UNKNOWN');
});

test('half a file changes no calls: neither takes it some away, nor permits it all', async () => {
  const files = listing('POST /aaa', '/bbb');
  const text = files['grants/planner.yaml'];
  const opened = await withFiles(files);
  for (let length = 0; length < text.length; length += 1) {
    if (text[length - 1] === '\n') continue;
    await opened.files({ ...files, 'grants/planner.yaml': text.slice(0, length) });
    assert.deepEqual(granted(opened), ['POST /aaa, /bbb'], `${length} characters`);
  }
  const { problems } = await opened.files({
    ...files,
    'grants/planner.yaml': text.replace('  - /bbb\n', '').trimEnd(),
  });
  assert.match(
    problems.map(({ message }) => message).join('\n'),
    /grant planner>researcher has other calls.*line break/,
  );
});

test('half a name grants nobody else anything, in whatever order the file has its members', async () => {
  for (const text of ['kind: Grant\nfrom: planner\nto: researcher\n', 'kind: Grant\nto: researcher\nfrom: planner\n']) {
    const opened = await withFiles({ ...NO_GRANT, 'grants/planner.yaml': text });
    const { problems } = await opened.files({ ...NO_GRANT, 'grants/planner.yaml': text.slice(0, -3) });
    assert.match(problems.map(({ message }) => message).join('\n'), /takes the place of another, .*line break/);
    assert.deepEqual(
      opened.inForce().filter((each) => each.startsWith('grant')),
      ['grant planner>researcher'],
    );
  }
});

test('what cannot be read of a request is named by its field', () => {
  const read = (change: object) => () => parseOperatorChanges([change as never], TRUST_DOMAIN);
  for (const [change, says] of [
    [{ ...add(), calls: [] }, /changes\[0\]\.calls: /],
    [{ ...add(), calls: null }, /changes\[0\]\.calls: /],
    [{ ...add(), calls: '/a' }, /changes\[0\]\.calls: /],
    [add('/a', 'post /b'), /changes\[0\]\.calls\[1\]: it has a method/],
    [add('/a', '/a'), /changes\[0\]\.calls\[1\]: it stands in the list twice/],
    [{ ...add(), calls: [{ path: '/a' }] }, /changes\[0\]\.calls\[0\]: /],
    [{ action: 'limit_grant', ...PAIR }, /"calls" is missing/],
    [limit(), /changes\[0\]\.calls: /],
    [{ ...withdraw, calls: ['/a'] }, /a member that does not belong there/],
  ] as const) {
    assert.throws(read(change), says, JSON.stringify(change));
  }
});
