import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { agentYaml, baselineYaml, POLICY } from '../../../support/policy-files.ts';
import {
  assertApplied,
  assertRefused,
  FragileStore,
  oneSession,
  openLedger,
  PLANNER,
} from '../../../support/ledger-world.ts';

const V2 = baselineYaml('planner-v2', 'planner').replace("version: '1'", "version: '2'");
/** In the file of version 1, under its id: what runs would be drift. */
const REPLACED = {
  ...POLICY,
  'baselines/planner-v1.yaml': POLICY['baselines/planner-v1.yaml']!.replace("version: '1'", "version: '2'"),
};

describe('revisions', () => {
  test('each change is one, by whom and what, and they survive a restart; the last 50 are kept', async () => {
    const store = new FragileStore();
    const first = await openLedger(store);
    await first.files(POLICY);
    await first.files(POLICY);
    assert.equal(first.ledger.revision, 1);
    for (let turn = 0; turn < 30; turn += 1) {
      assertApplied(await first.change({ action: 'set_lifecycle', agent: 'stranger', lifecycle: 'suspended' }));
      assertApplied(await first.change({ action: 'set_lifecycle', agent: 'stranger', lifecycle: 'active' }));
    }
    const again = await openLedger(store);
    assert.deepEqual(again.inForce(), first.inForce());
    const revisions = again.ledger.revisions();
    assert.deepEqual([again.ledger.revision, revisions.length, revisions[0]?.revision], [61, 50, 12]);
    assert.deepEqual(
      revisions.slice(-1).map(({ author, source, summary }) => [author, source, summary]),
      [['ada', 'operator', 'agent stranger resumed']],
    );
  });

  test('a record that only moved within its file is not a revision', async () => {
    const { ledger, files } = await openLedger();
    await files(POLICY);
    await files({ ...POLICY, 'agents/planner.yaml': `# a comment\n${POLICY['agents/planner.yaml']}` });
    assert.equal(ledger.revision, 1);
    assert.equal(ledger.records().find(({ key }) => key === `agent ${PLANNER}`)?.line, 2);
  });

  test('a full disk leaves the old policy in force, for operators, files and undo, and afterwards all goes on', async () => {
    const store = new FragileStore();
    const { ledger, files, change, inForce } = await openLedger(store);
    await files(POLICY);
    const heard: string[] = [];
    ledger.onChange((source) => void heard.push(source));
    const before = inForce();
    store.isFull = true;
    assertRefused(await change({ action: 'withdraw_grant', from: 'planner', to: 'researcher' }), 'STATE_NOT_WRITTEN');
    await assert.rejects(files({ ...POLICY, 'new.yaml': agentYaml('new') }), /ENOSPC/);
    assertRefused(await ledger.undo({ operator: 'ada' }), 'NOTHING_TO_UNDO');
    assert.deepEqual([inForce(), ledger.revision, heard], [before, 1, []]);
    assert.deepEqual((await openLedger(store)).inForce(), before);
    store.isFull = false;
    assertApplied(await change({ action: 'withdraw_grant', from: 'planner', to: 'researcher' }));
    assert.deepEqual(heard, ['operator']);
  });

  test('what follows from a change is stored with it or not at all, and is told which before anybody hears of the change', async () => {
    const store = new FragileStore();
    const events: string[] = [];
    const { ledger, files, change } = await openLedger(store, {
      alongside: (objects) => {
        const value = objects.length;
        return {
          changes: [{ kind: 'put', collection: 'beside', key: 'objects', value }],
          settled: (stored) => void events.push(`${value} ${stored ? 'stored' : 'dropped'}`),
        };
      },
    });
    ledger.onChange((source) => void events.push(source));
    await files(POLICY);
    const count = ledger.objects().length;
    store.isFull = true;
    const withdrawal = { action: 'withdraw_grant', from: 'planner', to: 'researcher' };
    assertRefused(await change(withdrawal), 'STATE_NOT_WRITTEN');
    assert.equal(await store.get('beside', 'objects'), count);
    store.isFull = false;
    assertApplied(await change(withdrawal));
    assert.equal(await store.get('beside', 'objects'), count - 1);
    const [less, all] = [count - 1, count];
    assert.deepEqual(events, [`${all} stored`, 'files', `${less} dropped`, `${less} stored`, 'operator']);
  });

  test('of five operators who saw the same revision one wins; the others are told who changed what', async () => {
    const { ledger, files, change } = await openLedger();
    await files(POLICY);
    const outcomes = await Promise.all(
      ['ada', 'bob', 'cyd', 'dan', 'eve'].map((operator) =>
        change(
          { action: 'set_lifecycle', agent: 'stranger', lifecycle: operator < 'c' ? 'suspended' : 'retired' },
          { operator, baseRevision: 1 },
        ),
      ),
    );
    assert.equal(outcomes.filter(({ ok }) => ok).length, 1);
    for (const outcome of outcomes.slice(1)) {
      assertRefused(outcome, 'POLICY_MOVED_ON', /revision 2, not 1; since then: 2 by ada: agent stranger suspended/);
    }
    assert.equal(ledger.revision, 2);
  });
});

describe('the brake', () => {
  test('nothing is held at the first start, and what only widens never is', async () => {
    const { ledger, world, files } = await openLedger();
    world.reported = oneSession();
    await files(POLICY);
    await files({ ...POLICY, 'v2.yaml': V2, 'x.yaml': agentYaml('x') });
    assert.equal(ledger.revision, 2);
    assert.equal(ledger.held(), undefined);
  });

  test('a file that would cut is held until it is accepted as it was seen; others take effect', async () => {
    const store = new FragileStore();
    const { ledger, world, files, inForce, log } = await openLedger(store);
    world.reported = oneSession();
    await files(POLICY);
    const { problems } = await files({ ...REPLACED, 'x.yaml': agentYaml('x') });
    assert.ok(inForce().includes('agent x active'), 'what has nothing to do with it takes effect');
    const held = ledger.held();
    assert.deepEqual([held?.files, held?.impact.ending], [['baselines/planner-v1.yaml'], 1]);
    assert.match(problems.find(({ severity }) => severity === 'held')?.message ?? '', /ait policy accept [0-9a-f]{16}/);
    assert.equal(log.lines.filter(({ event }) => event === 'policy_held').length, 1);

    // Neither a second look, nor a night without sessions, nor a restart lets it through.
    await files({ ...REPLACED, 'x.yaml': agentYaml('x') });
    const again = await openLedger(store);
    await again.files({ ...REPLACED, 'x.yaml': agentYaml('x') });
    assert.equal(again.ledger.held()?.digest, held?.digest);
    again.world.reported = oneSession();

    const accept = (digest: string, acceptImpact?: number) =>
      again.ledger.accept({ operator: 'ada', digest, acceptImpact });
    assertRefused(await accept('0'.repeat(16), 9), 'HELD_CHANGED');
    assertRefused(await accept(held?.digest ?? ''), 'IMPACT_TOO_LARGE', /1 of 1 sessions would end/);
    assertRefused(await accept(held?.digest ?? '', 0), 'IMPACT_TOO_LARGE', /more than the 0/);
    assertApplied(await accept(held?.digest ?? '', 1));
    assert.equal(again.ledger.held(), undefined);
    assert.equal(again.ledger.revisions().at(-1)?.author, 'ada');
    assertRefused(await accept(held?.digest ?? '', 1), 'NOTHING_HELD');
  });

  test('a held file that changes is looked at anew, and what was seen of it can no longer be accepted', async () => {
    const { ledger, world, files } = await openLedger();
    world.reported = oneSession();
    await files(POLICY);
    await files(REPLACED);
    const digest = ledger.held()?.digest ?? '';
    await files({
      ...POLICY,
      'baselines/planner-v1.yaml': REPLACED['baselines/planner-v1.yaml'].replace("'2'", "'3'"),
    });
    assertRefused(await ledger.accept({ operator: 'ada', digest, acceptImpact: 1 }), 'HELD_CHANGED');
    await files(POLICY);
    assert.equal(ledger.held(), undefined);
  });

  test('an operator is refused, told whom it would cut, and may accept just so many', async () => {
    const { world, files, change, inForce } = await openLedger();
    world.reported = oneSession();
    await files(POLICY);
    const suspend = { action: 'set_lifecycle', agent: 'planner', lifecycle: 'suspended' };
    const refused = await change(suspend);
    assertRefused(refused, 'IMPACT_TOO_LARGE');
    assert.ok(!refused.ok);
    assert.deepEqual(
      refused.impact?.sessions.map(({ diallerInstance, code }) => [diallerInstance, code]),
      [['p1', 'AGENT_NOT_ACTIVE']],
    );
    const dry = await change(suspend, { dryRun: true });
    assert.deepEqual(dry.ok && [dry.applied, dry.impact.ending], [false, 1]);
    assert.ok(inForce().includes('agent planner active'));
    assertApplied(await change(suspend, { acceptImpact: 1 }));
  });

  test('revocations go through whatever they cut, from operators and from files', async () => {
    const { ledger, world, files, change } = await openLedger();
    world.reported = oneSession();
    await files(POLICY);
    assertApplied(await change({ action: 'revoke', kind: 'instance', subject: 'p1' }));
    world.reported = oneSession().map((each) => ({ ...each, id: `${each.id}x` }));
    await files({ ...POLICY, 'baselines/planner-v1.yaml': baselineYaml('planner-v1', 'planner', 'revoked') });
    assert.equal(ledger.held(), undefined);
    assert.equal(ledger.revision, 3);
  });

  test('a revocation carries nothing else past the brake', async () => {
    const { ledger, world, files, inForce } = await openLedger();
    world.reported = oneSession();
    await files(POLICY);
    const revocation = 'kind: Revocation\nid: r1\ninstance: somebody\nreason: lost\n';
    await files({
      ...REPLACED,
      'baselines/planner-v1.yaml': `${REPLACED['baselines/planner-v1.yaml']}---\n${revocation}`,
    });
    assert.deepEqual(ledger.held()?.files, ['baselines/planner-v1.yaml']);
    await files({ ...REPLACED, 'revocation.yaml': revocation });
    assert.ok(
      inForce().some((each) => each.startsWith('revocation')),
      'in a file of its own it does not wait',
    );
    assert.deepEqual(ledger.held()?.files, ['baselines/planner-v1.yaml']);
  });

  test('right after a start nothing that could cut passes, until the members have said what sessions they have', async () => {
    const store = new FragileStore();
    await (await openLedger(store)).files(POLICY);
    const { ledger, world, files, change } = await openLedger(store);
    world.complete = false;
    const { problems } = await files(REPLACED);
    assert.match(problems.at(-1)?.message ?? '', /not taken yet/);
    assertRefused(await change({ action: 'withdraw_grant', from: 'planner', to: 'researcher' }), 'IMPACT_UNKNOWN');
    assertApplied(await change({ action: 'revoke', kind: 'agent', subject: 'stranger' }));
    assert.equal(ledger.held(), undefined);
    world.complete = true;
    await files(REPLACED);
    assert.equal(ledger.revision, 3);
  });
});

describe('operators and files', () => {
  test('what a file owns an operator only restricts, and re-reading the file does not bring it back', async () => {
    const { files, change, inForce } = await openLedger();
    await files(POLICY);
    assertApplied(await change({ action: 'set_baseline_state', id: 'planner-v1', state: 'retired' }));
    assertApplied(await change({ action: 'withdraw_grant', from: 'planner', to: 'researcher' }));
    assertApplied(await change({ action: 'set_lifecycle', agent: 'stranger', lifecycle: 'suspended' }));
    await files({ ...POLICY, 'grants/planner.yaml': `# again\n${POLICY['grants/planner.yaml']}` });
    const now = inForce();
    assert.ok(now.includes('baseline planner-v1 retired') && now.includes('agent stranger suspended'), now.join());
    assert.ok(!now.some((each) => each.startsWith('grant')), now.join());
    assertApplied(await change({ action: 'add_grant', from: 'planner', to: 'researcher' }));
    assert.ok(inForce().includes('grant planner>researcher'));
  });

  const widening: readonly [what: string, change: object, code: string, says: RegExp][] = [
    [
      'registering',
      { action: 'register_agent', agent: 'planner', sponsor: { id: 'evil' } },
      'OWNED_BY_FILE',
      /agents\/planner\.yaml:1/,
    ],
    [
      'observing',
      { action: 'observe', agent: 'planner', until: '2100-01-01T00:00:00Z' },
      'OWNED_BY_FILE',
      /agents\/planner\.yaml:1/,
    ],
    [
      'approving other digests',
      { action: 'approve_baseline', text: V2.replace('planner-v2', 'planner-v1') },
      'BASELINE_EXISTS',
      /planner-v1/,
    ],
    [
      'another end',
      {
        action: 'approve_baseline',
        text: POLICY['baselines/planner-v1.yaml']!.replace('digests:', "not_after: '2100-01-01T00:00:00Z'\ndigests:"),
      },
      'OWNED_BY_FILE',
      /baselines\/planner-v1\.yaml:1/,
    ],
    [
      "another agent's id",
      { action: 'approve_baseline', text: baselineYaml('planner-v1', 'stranger') },
      'BASELINE_OF_ANOTHER_AGENT',
      /is of planner/,
    ],
    [
      'an agent nobody registered',
      { action: 'approve_baseline', text: baselineYaml('n1', 'nobody') },
      'AGENT_UNKNOWN',
      /nobody is not registered/,
    ],
    [
      'a grant to nobody',
      { action: 'add_grant', from: 'planner', to: 'nobody' },
      'AGENT_UNKNOWN',
      /nobody is not registered/,
    ],
    ['a text that is no baseline', { action: 'approve_baseline', text: agentYaml('x') }, 'CHANGE_INVALID', /Baseline/],
    [
      'a broken text',
      { action: 'approve_baseline', text: 'kind: Baseline\nid: x\n' },
      'CHANGE_INVALID',
      /line 1:1: agent/,
    ],
    [
      'revoking a name nobody has',
      { action: 'revoke', kind: 'agent', subject: 'plannr' },
      'AGENT_UNKNOWN',
      /plannr is not registered/,
    ],
    [
      'an end in the past',
      { action: 'observe', agent: 'planner', until: '2020-01-01T00:00:00Z' },
      'CHANGE_INVALID',
      /past/,
    ],
  ];
  for (const [what, change, code, says] of widening) {
    test(`refused, and nothing of the request is applied: ${what}`, async () => {
      const ledger = await openLedger();
      await ledger.files(POLICY);
      const before = ledger.inForce();
      const harmless = { action: 'register_agent', agent: 'fresh', sponsor: { id: 'u-1' } };
      assertRefused(await ledger.change([harmless, change]), code, says);
      assert.deepEqual(ledger.inForce(), before);
    });
  }

  test('a file cannot redefine what an operator put in force; one that says the same takes it over', async () => {
    const { ledger, files, change } = await openLedger();
    await files(POLICY);
    assertApplied(await change({ action: 'approve_baseline', text: V2 }));
    const { problems } = await files({ ...POLICY, 'v2.yaml': V2.replace("version: '2'", "version: '3'") });
    assert.match(problems[0]?.message ?? '', /put in force by operator ada, and differently/);
    await files({ ...POLICY, 'v2.yaml': V2 });
    const record = ledger.records().find(({ key }) => key === 'baseline planner-v2');
    assert.deepEqual([record?.file, record?.operator], ['v2.yaml', undefined]);
  });

  test("a file that gives a baseline's id to another agent has no effect", async () => {
    const { files, inForce } = await openLedger();
    await files(POLICY);
    const { problems } = await files({
      ...POLICY,
      'baselines/planner-v1.yaml': baselineYaml('planner-v1', 'stranger'),
    });
    assert.match(problems[0]?.message ?? '', /planner-v1 is of spiffe:\/\/acme.example\/agent\/planner/);
    assert.ok(inForce().includes('baseline planner-v1 approved'));
  });

  test('approving for the wrong agent is refused with a hint, and forced all the same', async () => {
    const { world, files, change } = await openLedger();
    await files(POLICY);
    const [planner, researcher] = oneSession();
    const prompts = { main: { hash: `sha256:${'cd'.repeat(32)}`, canonicalization: 'ait-text-1' as const } };
    const other = { ...planner!.measurement!, system_prompt: { prompts, assurance: 'at_rest' as const } } as never;
    world.reported = [{ ...planner!, measurement: other }, researcher!];
    const text = baselineYaml('planner-v9', 'planner');
    assertRefused(
      await change({ action: 'approve_baseline', text }),
      'APPROVAL_LOOKS_WRONG',
      /what researcher measures/,
    );
    assertApplied(await change({ action: 'approve_baseline', text, force: true }));
  });
});

describe('undo', () => {
  test('puts the revision before back, and undoing that brings it back again', async () => {
    const { ledger, files, change, inForce } = await openLedger();
    await files(POLICY);
    const before = inForce();
    assertApplied(await change({ action: 'withdraw_grant', from: 'planner', to: 'researcher' }));
    const changed = inForce();
    assertApplied(await ledger.undo({ operator: 'bob' }));
    assert.deepEqual(inForce(), before);
    assertApplied(await ledger.undo({ operator: 'bob' }));
    assert.deepEqual(inForce(), changed);
    assertApplied(await ledger.undo({ operator: 'bob', to: 1 }));
    assert.deepEqual(inForce(), before);
    assertRefused(await ledger.undo({ operator: 'bob', to: 99 }), 'NOTHING_TO_UNDO');
  });

  test('files that said what is undone stay set aside until they change, also over a restart', async () => {
    const store = new FragileStore();
    const { ledger, files, inForce } = await openLedger(store);
    await files(POLICY);
    const before = inForce();
    const retired = { ...POLICY, 'baselines/planner-v1.yaml': baselineYaml('planner-v1', 'planner', 'retired') };
    await files(retired);
    assertApplied(await ledger.undo({ operator: 'bob' }));
    const { problems } = await files(retired);
    assert.match(problems[0]?.message ?? '', /undo of revision 2 by operator bob/);
    const again = await openLedger(store);
    await again.files(retired);
    assert.deepEqual(again.inForce(), before);
    await again.files({ ...retired, 'baselines/planner-v1.yaml': `# now\n${retired['baselines/planner-v1.yaml']}` });
    assert.ok(again.inForce().includes('baseline planner-v1 retired'));
  });

  test('what was revoked stays revoked, and the answer says so', async () => {
    const { ledger, files, change, inForce } = await openLedger();
    await files(POLICY);
    await change([
      { action: 'set_baseline_state', id: 'planner-v1', state: 'revoked' },
      { action: 'revoke', kind: 'instance', subject: 'p1' },
      { action: 'set_lifecycle', agent: 'stranger', lifecycle: 'suspended' },
    ]);
    const undone = await ledger.undo({ operator: 'bob' });
    assertApplied(undone);
    assert.match(undone.ok ? undone.notes.join() : '', /stays revoked: .*baseline planner-v1/);
    const now = inForce();
    assert.ok(now.includes('baseline planner-v1 revoked') && now.some((each) => each.startsWith('revocation')));
    assert.ok(now.includes('agent stranger active'));
  });

  test('is held by the brake like any change', async () => {
    const { ledger, world, files, change } = await openLedger();
    await files(POLICY);
    assertApplied(await change({ action: 'withdraw_grant', from: 'planner', to: 'researcher' }));
    assertApplied(await change({ action: 'add_grant', from: 'planner', to: 'researcher' }));
    world.reported = oneSession();
    assertRefused(await ledger.undo({ operator: 'bob' }), 'IMPACT_TOO_LARGE');
    assertApplied(await ledger.undo({ operator: 'bob', acceptImpact: 1 }));
  });
});

test('whatever end of a file is missing, nothing that was in force goes with it', async () => {
  const { files, inForce } = await openLedger();
  await files(POLICY);
  const before = inForce();
  for (const [name, text] of Object.entries(POLICY)) {
    for (let length = 0; length < text.length; length += 1) {
      await files({ ...POLICY, [name]: text.slice(0, length) });
      const lost = before.filter((each) => !inForce().includes(each));
      assert.deepEqual(lost, [], `${name}, ${length} characters`);
    }
  }
  await files({});
  assert.deepEqual(
    before.filter((each) => !inForce().includes(each)),
    [],
  );
});
