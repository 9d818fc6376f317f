import pc from 'picocolors';
import { environment } from '../../platform/environment.ts';
import type { CommandOutput } from '../command-output.ts';
import { parseDurationFlag } from '../duration-flag.ts';
import { EXIT } from '../exit-codes.ts';
import { nameOf } from '../explain/explanation.ts';
import { check } from './check.ts';
import { linkOf } from './finding.ts';
import { countOf, renderFindings } from './render.ts';
import { findSubject, type Subject, type SubjectFlags } from './subject.ts';

export interface CheckFlags extends SubjectFlags {
  readonly timeout: string;
  readonly json?: true;
}

/** @throws MeshError `CONFIG_INVALID` for flags that make no sense, and where there is nothing to check */
export async function runCheck(flags: CheckFlags, output: CommandOutput): Promise<void> {
  const timeoutMs = parseDurationFlag('--timeout', flags.timeout);
  const subject = await findSubject(flags, environment);
  const findings = await check(subject, timeoutMs);
  const counts = countOf(findings);
  output.exitCode(counts.fail > 0 ? EXIT.failed : EXIT.ok);
  if (flags.json !== true) {
    output.print(renderFindings(titleOf(subject), findings, pc));
    return;
  }
  const agent = subject.sidecar?.ok === true ? subject.sidecar.view.agent : null;
  const linked = findings.map((finding) => ({ ...finding, link: linkOf(finding.check) }));
  output.print(JSON.stringify({ ok: counts.fail === 0, agent, counts, findings: linked }));
}

function titleOf({ sidecar, socket }: Subject): string {
  if (sidecar?.ok === true) return `${nameOf(sidecar.view.agent)}, by its sidecar at ${socket}`;
  return socket === undefined ? 'this agent, by its own variables' : `the sidecar at ${socket}`;
}
