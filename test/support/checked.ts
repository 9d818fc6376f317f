import assert from 'node:assert/strict';
import type { CheckName, Finding } from '../../src/cli/check/finding.ts';
import { runAit, type RunOptions } from './run-ait.ts';
import type { TestAgent } from './test-agent.ts';

/** What `ait check --json` said. */
export interface Checked {
  readonly code: number | null;
  readonly findings: readonly (Finding & { readonly link: string })[];
  /** What is wrong, as `check: detail`. */
  readonly failed: readonly string[];
  readonly of: (check: CheckName) => readonly Finding[];
}

/** @throws AssertionError where it says nothing, contradicts itself, or gives no advice */
export function readCheck(output: string, code: number | null): Checked {
  const line = output.split('\n').find((each) => each.trimStart().startsWith('{"ok"'));
  assert.ok(line !== undefined, output);
  const { ok, findings } = JSON.parse(line) as { ok: boolean; findings: Checked['findings'] };
  const failed = findings.filter(({ verdict }) => verdict === 'fail').map(({ check, detail }) => `${check}: ${detail}`);
  assert.equal(ok, failed.length === 0);
  for (const { verdict, fix, link } of findings) {
    if (verdict === 'fail' || verdict === 'warn') assert.ok(fix !== undefined && fix !== '' && link.includes('#'));
  }
  return { code, findings, failed, of: (check) => findings.filter((each) => each.check === check) };
}

/** Runs `ait check` against an agent's sidecar. */
export async function checkOf(
  agent: TestAgent,
  options: RunOptions = {},
  flags: readonly string[] = [],
): Promise<Checked> {
  const args = ['check', '--admin', agent.addresses.admin, '--json', ...flags];
  const { code, output } = await runAit(args, options);
  return readCheck(output, code);
}
