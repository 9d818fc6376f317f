import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judgeAuthority } from '../../../../src/cli/check/judge-authority.ts';
import {
  judgeClock,
  judgeConfig,
  judgeDates,
  judgeReadiness,
  judgeSilentSidecar,
} from '../../../../src/cli/check/judge-sidecar.ts';
import type { SidecarView } from '../../../../src/cli/check/sidecar-view.ts';
import { REJECTIONS } from '../../../../src/domain/rejection.ts';

const NOW = Date.UTC(2026, 0, 2);
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const ROOT = { trustDomain: 'acme.example', sha256: 'ab'.repeat(32), notAfter: NOW + 400 * DAY };

function view(more: Partial<SidecarView> = {}): SidecarView {
  return {
    agent: 'spiffe://acme.example/agent/planner',
    version: '0.1.0',
    instance: 'i-1',
    now: NOW,
    blockers: [],
    config: { at: undefined, problems: [], needsRestart: [] },
    certificate: { notBefore: NOW - HOUR, notAfter: NOW + HOUR },
    ait: { expires: NOW + HOUR },
    state: { notAfter: NOW + HOUR },
    roots: [ROOT],
    authority: { address: '127.0.0.1:17100', skewMs: 0 },
    addresses: { inbound: '', metrics: '', admin: '', peers: [] },
    ...more,
  };
}

const verdicts = (findings: readonly { readonly verdict: string }[]) => findings.map(({ verdict }) => verdict);

test('a sidecar that waits for something: one finding each, with what helps', () => {
  assert.deepEqual(verdicts(judgeReadiness(view())), ['ok']);
  const findings = judgeReadiness(
    view({
      blockers: [
        { name: 'join', reason: 'the authority has not admitted this instance yet' },
        { name: 'standing', reason: 'TOOLS_DRIFT: web_search differs' },
        { name: 'standing', reason: 'this sidecar has not admitted itself yet' },
        { name: 'something_new', reason: 'who knows' },
      ],
    }),
  );
  assert.deepEqual(verdicts(findings), ['fail', 'fail', 'fail', 'fail']);
  assert.match(findings[0]?.fix ?? '', /authority runs/);
  assert.equal(findings[1]?.fix, REJECTIONS.TOOLS_DRIFT.action);
  assert.match(findings[2]?.fix ?? '', /ait explain/);
  assert.match(findings[3]?.fix ?? '', /log/);
});

test('a configuration that is not in force', () => {
  assert.deepEqual(verdicts(judgeConfig(view())), ['ok']);
  const problems = judgeConfig(
    view({ config: { at: 1, problems: ['peers[0]: no', 'measure: no'], needsRestart: [] } }),
  );
  assert.deepEqual(verdicts(problems), ['fail', 'fail']);
  const restart = judgeConfig(view({ config: { at: 1, problems: [], needsRestart: ['inbound.listen'] } }));
  assert.deepEqual(verdicts(restart), ['warn']);
  assert.match(restart[0]?.detail ?? '', /inbound\.listen/);
});

test('clocks: what cannot be told apart is in order, within the leeway it is warned of, beyond it fails; both ways', () => {
  for (const [skewMs, verdict] of [
    [0, 'ok'],
    [1999, 'ok'],
    [-1999, 'ok'],
    [2001, 'warn'],
    [-29_000, 'warn'],
    [30_001, 'fail'],
    [-600_000, 'fail'],
  ] as const) {
    const finding = judgeClock("the authority's clock", skewMs);
    assert.equal(finding.verdict, verdict, `${skewMs}`);
    if (verdict !== 'ok') assert.match(finding.detail, skewMs > 0 ? /ahead/ : /behind/);
  }
});

test('dates of what the sidecar holds', () => {
  assert.deepEqual(verdicts(judgeDates(view(), NOW)), ['ok', 'ok', 'ok', 'ok']);
  assert.deepEqual(verdicts(judgeDates(view(), NOW + 2 * HOUR)), ['fail', 'fail', 'fail', 'ok']);
  const { certificate: _c, ait: _a, state: _s, ...nothing } = view();
  assert.deepEqual(verdicts(judgeDates({ ...nothing, roots: [] }, NOW)), ['fail', 'fail', 'fail']);
  const early = judgeDates(view(), NOW - 2 * HOUR);
  assert.match(early.find(({ verdict }) => verdict === 'fail')?.detail ?? '', /begins/);
});

test('a root that ends soon is warned of, unless another one of its domain takes its place', () => {
  const ending = { ...ROOT, sha256: 'cd'.repeat(32), notAfter: NOW + 5 * DAY };
  const rootVerdict = (roots: SidecarView['roots']) => verdicts(judgeDates(view({ roots }), NOW)).slice(3);
  assert.deepEqual(rootVerdict([ending]), ['warn']);
  assert.deepEqual(rootVerdict([{ ...ending, notAfter: NOW - 1 }]), ['fail']);
  assert.deepEqual(rootVerdict([ending, ROOT]), ['ok', 'ok']);
  assert.deepEqual(rootVerdict([ending, { ...ROOT, trustDomain: 'other.example' }]), ['warn', 'ok']);
});

test('the authority: not to be reached, another one, or at another time', () => {
  const look = { ok: true, notBefore: NOW - HOUR, notAfter: NOW + HOUR, sent: ['leaf', ROOT.sha256] } as const;
  const judge = (more: Partial<Parameters<typeof judgeAuthority>[0]>) =>
    judgeAuthority({ address: 'authority.example:17100', look, roots: [ROOT.sha256], now: NOW, ...more });
  assert.deepEqual(verdicts(judge({})), ['ok']);
  assert.deepEqual(verdicts(judge({ look: { ok: false, detail: 'ECONNREFUSED' } })), ['fail']);
  assert.match(judge({ roots: ['ef'.repeat(32)] })[0]?.detail ?? '', /none of the roots/);
  assert.deepEqual(verdicts(judge({ roots: ['ef'.repeat(32)] })), ['fail']);
  assert.deepEqual(verdicts(judge({ look: { ...look, sent: [] } })), ['fail']);
  assert.match(judge({ now: NOW - 2 * HOUR })[1]?.detail ?? '', /begins .* our clock says/);
  assert.match(judge({ now: NOW + 2 * HOUR })[1]?.detail ?? '', /ended .* our clock says/);
});

test('an admin socket that is not for us is no failure of the sidecar; one that nobody answers is', () => {
  assert.equal(judgeSilentSidecar('/x', 'EACCES', 'permission denied').verdict, 'warn');
  for (const code of ['ENOENT', 'ECONNREFUSED', 'EPIPE']) {
    const { verdict, fix } = judgeSilentSidecar('/x', code, code);
    assert.equal(verdict, 'fail');
    assert.ok(fix !== undefined && fix !== '');
  }
});
