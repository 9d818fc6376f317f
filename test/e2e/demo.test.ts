import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { StepResult } from '../../src/cli/demo/step.ts';

const ait = new URL('../../dist/ait.mjs', import.meta.url).pathname;

function runDemo(folder: string): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    const env = { ...process.env, TMPDIR: folder };
    execFile(process.execPath, [ait, 'demo', '--json'], { env, timeout: 280_000 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), stdout, stderr });
    });
  });
}

test('every step of the demo shows what it claims, and nothing is left behind', { timeout: 300_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'demo-'));
  try {
    const { code, stdout, stderr } = await runDemo(folder);
    const { ok, steps } = JSON.parse(stdout) as { ok: boolean; steps: StepResult[] };
    const failed = steps.filter((step) => !step.ok).map(({ name, observed }) => `${name}: ${observed}`);
    assert.deepEqual(failed, [], stderr);
    assert.equal(ok, true);
    assert.equal(code, 0);

    const names = steps.map(({ name }) => name).join('\n');
    for (const topic of [
      'both approved',
      'one byte added to the system prompt',
      'put back, in place',
      'roll-out',
      'knowledge base',
      'model',
      'tool',
      "version 1's prompt with version 2's tools",
      'valid token over a certificate',
      'expired token',
      'another trust domain',
      "authority's port",
      'without a session',
      "researcher's address",
      "OpenAI's own client",
      'added to the system prompt, in the memory of the planner only',
      'one more tool, in the memory of the planner only',
      'another model is called, in the memory of the planner only',
      'replaced by one with another measurement',
      'observe: the planner is only observed, and its prompt changes in memory only',
      'enforce: observe mode is taken off, the prompt in memory is still another one',
    ]) {
      assert.ok(names.includes(topic), `no step about: ${topic}\n${names}`);
    }
    const codes = steps.map(({ observed }) => observed).join('\n');
    for (const refusal of [
      'AIT_SUBJECT_MISMATCH',
      'AIT_BINDING_MISMATCH',
      'AIT_EXPIRED',
      'AIT_ISSUER_UNKNOWN',
      'DATA_SESSION_UNKNOWN',
      'UNEXPECTED_PEER',
      'EVIDENCE_MEASUREMENT_UNKNOWN',
    ]) {
      assert.ok(codes.includes(refusal), `nobody was refused with ${refusal}\n${codes}`);
    }
    assert.deepEqual(readdirSync(folder), []);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
