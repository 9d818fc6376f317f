import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { AIT_TEXT_1, type Digest } from '../../../../src/domain/canonical/digest.ts';
import type { InUseVerdict } from '../../../../src/domain/inference/in-use.ts';
import type { Measurement, SystemPromptDigest } from '../../../../src/domain/measurement.ts';
import { rejection } from '../../../../src/domain/rejection.ts';
import { systemClock } from '../../../../src/platform/clock.ts';
import { InUseOverlay } from '../../../../src/sidecar/inference/in-use-overlay.ts';
import type { MeasurementResult } from '../../../../src/sidecar/measure/measurement-result.ts';

const digest = (letter: string): Digest => `sha256:${letter.repeat(64)}`;
const prompt = (letter: string): SystemPromptDigest => ({
  prompts: { main: { hash: digest(letter), canonicalization: AIT_TEXT_1 } },
});

function measured(letter: string): Measurement {
  return {
    system_prompt: { ...prompt(letter), assurance: 'at_rest' },
    knowledge_base: null,
    model: { provider: 'p', id: 'large', version: '1', assurance: 'declared' },
    tools: null,
  };
}

const drift = (letter: string): InUseVerdict & { matches: false } => ({
  matches: false,
  rejection: rejection('SYSTEM_PROMPT_DRIFT', 'in use'),
  differences: [],
  where: undefined,
  observed: { ...measured('a'), system_prompt: prompt(letter) },
});

function world(t: TestContext) {
  let rest: MeasurementResult = { ok: true, measurement: measured('a'), notes: [], at: 0, serial: 1 };
  let changes = 0;
  const overlay = new InUseOverlay({
    clock: systemClock,
    atRest: () => rest,
    onChange: () => {
      changes += 1;
    },
  });
  t.after(() => overlay.stop());
  const now = () => {
    const result = overlay.current();
    assert.ok(result.ok);
    return result;
  };
  return {
    overlay,
    now,
    changes: () => changes,
    set: (next: Partial<MeasurementResult>) => {
      rest = { ...rest, ...next } as MeasurementResult;
    },
  };
}

test('what a call showed is what the agent is, until a call matches', (t) => {
  const { overlay, now, changes } = world(t);
  overlay.drifted(drift('b'), { correlationId: 'x' });
  assert.deepEqual(now().measurement.system_prompt, { ...prompt('b'), assurance: 'in_use' });
  assert.deepEqual(now().inUse, { correlationId: 'x' });
  assert.equal(changes(), 1);
  overlay.matched([]);
  assert.deepEqual(now().measurement, measured('a'));
  assert.equal(now().inUse, undefined);
  assert.equal(changes(), 2);
});

test('the same drift once more troubles nobody, and lasts 60 s from then on', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { overlay, now, changes } = world(t);
  overlay.drifted(drift('b'), { correlationId: 'x' });
  t.mock.timers.tick(59_000);
  overlay.drifted(drift('b'), { correlationId: 'y' });
  assert.equal(changes(), 1);
  t.mock.timers.tick(59_000);
  assert.ok(now().inUse, 'it stands for 60 s after the last');
  t.mock.timers.tick(1_000);
  assert.equal(now().inUse, undefined);
  assert.equal(changes(), 2);
});

test('an operator ends it, and is told whether there was any', (t) => {
  const { overlay } = world(t);
  assert.equal(overlay.clear(), false);
  overlay.drifted(drift('b'), { correlationId: 'x' });
  assert.equal(overlay.clear(), true);
});

test('a file that becomes what the call showed does not make it right, nor does one that cannot be read', (t) => {
  const { overlay, now, set } = world(t);
  overlay.drifted(drift('b'), { correlationId: 'x' });
  set({ measurement: measured('c'), serial: 2 });
  assert.deepEqual(now().measurement.system_prompt?.prompts, prompt('b').prompts);
  set({ ok: false, rejection: rejection('MEASUREMENT_UNREADABLE', 'gone'), dimension: 'tools', serial: 3 });
  assert.equal(overlay.current().ok, false, 'what fails at rest fails');
});

test('what calls show is in_use until what lies on disk changes; it is never lowered', (t) => {
  const { overlay, now, changes, set } = world(t);
  overlay.matched(['system_prompt']);
  assert.equal(now().measurement.system_prompt?.assurance, 'in_use');
  assert.equal(now().measurement.model?.assurance, 'declared');
  overlay.matched(['system_prompt']);
  assert.equal(changes(), 1, 'no news');
  overlay.matched(['model']);
  assert.deepEqual(
    [now().measurement.system_prompt?.assurance, now().measurement.model?.assurance],
    ['in_use', 'in_use'],
  );
  set({ measurement: measured('a'), serial: 2 });
  assert.equal(now().measurement.system_prompt?.assurance, 'at_rest');
});

test('drift takes back what earlier calls have shown', (t) => {
  const { overlay, now } = world(t);
  overlay.matched(['system_prompt', 'model']);
  overlay.drifted(drift('b'), { correlationId: 'x' });
  overlay.clear();
  assert.equal(now().measurement.system_prompt?.assurance, 'at_rest');
});

test('serial numbers grow with every change, whoever brought it about', (t) => {
  const { overlay, now, set } = world(t);
  const serials = [now().serial];
  overlay.matched(['model']);
  serials.push(now().serial);
  set({ serial: 2 });
  serials.push(now().serial);
  overlay.drifted(drift('b'), { correlationId: 'x' });
  serials.push(now().serial);
  overlay.clear();
  serials.push(now().serial);
  assert.deepEqual(
    serials,
    [...new Set(serials)].toSorted((a, b) => a - b),
  );
});
