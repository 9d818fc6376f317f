import { REJECTIONS, type RejectionCode } from '../../domain/rejection.ts';
import type { Blocker } from '../../platform/readiness.ts';
import { fail, ok, warn, type Finding } from './finding.ts';
import type { SidecarView } from './sidecar-view.ts';

/** A sidecar whose operators get no answer, by the system's code. Whoever runs as the agent is not meant to get one. */
export function judgeSilentSidecar(socket: string, code: string, detail: string): Finding {
  const fixes: Readonly<Record<string, string>> = {
    EACCES: "the admin socket is for the sidecar's own user: use sudo, or that account; the agent is not meant to",
    ENOENT: 'is the sidecar running, and is this its state directory?',
    ECONNREFUSED: 'the sidecar is not running: it left its socket behind. Its log says why it ended',
  };
  const fix = fixes[code] ?? 'see the log of the sidecar';
  return code === 'EACCES'
    ? warn('sidecar-answers', `${socket}: ${detail}`, fix)
    : fail('sidecar-answers', `${socket}: ${detail}`, fix);
}

/** What to do about each thing that a sidecar waits for. */
const FIXES: Readonly<Record<string, string>> = {
  join: 'see that the authority runs and can be reached (host-names, clock), and that the join credential has uses left: `ait agent credential`',
  state: 'the authority has to be reachable, and to know this agent: `ait agents`',
  measurement: 'see that every file under `measure` is there, readable for the sidecar, and not empty',
  standing: '`ait explain <agent>` says what differs from what is approved',
  listeners: 'the log of the sidecar says which address could not be bound',
  app: 'start the agent, and have it listen where `app.address` says',
  app_reachable: 'have the agent listen on 127.0.0.1 or a unix socket',
  inference: 'see that the inference service or provider runs and is approved: `ait explain <agent>`',
  draining: 'it is shutting down: start it again',
};

export function judgeReadiness({ blockers, version, instance }: SidecarView): readonly Finding[] {
  if (blockers.length === 0) return [ok('sidecar-ready', `version ${version}, instance ${instance ?? 'none yet'}`)];
  return blockers.map((blocker) =>
    fail('sidecar-ready', `${blocker.name}: ${blocker.reason}`, adviceOf(blocker) ?? 'its log says more'),
  );
}

function adviceOf({ name, reason }: Blocker): string | undefined {
  const [code = ''] = reason.split(':', 1);
  return Object.hasOwn(REJECTIONS, code) ? REJECTIONS[code as RejectionCode].action : FIXES[name];
}

export function judgeConfig({ config }: SidecarView): readonly Finding[] {
  const { problems, needsRestart } = config;
  if (problems.length > 0) {
    const fix = 'correct them (`ait sidecar --check-config`); until then the configuration of before is in force';
    return problems.map((problem) => fail('config-in-force', problem, fix));
  }
  if (needsRestart.length > 0) {
    return [
      warn('config-in-force', `differs on disk: ${needsRestart.join(', ')}`, 'restart the sidecar to have it count'),
    ];
  }
  return [ok('config-in-force', 'the file on disk is in force')];
}

const SECOND = 1000;
/** Both clocks are read with the way between them: less than this says nothing. */
const UNCERTAIN_MS = 2 * SECOND;
/** The leeway that tokens are given. */
const LEEWAY_MS = 30 * SECOND;

/**
 * @param theirs whose clock it is
 * @param skewMs theirs minus ours
 */
export function judgeClock(theirs: string, skewMs: number): Finding {
  const seconds = Math.abs(skewMs / SECOND).toFixed(1);
  if (Math.abs(skewMs) <= UNCERTAIN_MS) return ok('clock', `${theirs} agrees to ${UNCERTAIN_MS / SECOND} s`);
  const detail = `${theirs} is ${seconds} s ${skewMs > 0 ? 'ahead' : 'behind'}`;
  const fix = 'set the clock that is off, and keep it by NTP (`timedatectl status`)';
  return Math.abs(skewMs) <= LEEWAY_MS ? warn('clock', detail, fix) : fail('clock', detail, fix);
}

const DAY = 86_400 * SECOND;
/** Roots are renewed by hand, or by the authority long before. */
const ROOT_WARNING_MS = 30 * DAY;

/** @param now by our clock, ms since the epoch */
export function judgeDates(view: SidecarView, now: number): readonly Finding[] {
  const { certificate, ait, state, roots } = view;
  const findings: Finding[] = [];
  const ends: readonly (readonly [what: string, notAfter: number | undefined])[] = [
    ['the certificate (SVID)', certificate?.notAfter],
    ['the token (AIT)', ait?.expires],
    ['the signed state', state?.notAfter],
  ];
  for (const [what, notAfter] of ends) {
    if (notAfter === undefined) {
      findings.push(fail('certificates', `${what} is not there yet`, FIXES['join'] ?? ''));
    } else if (notAfter <= now) {
      const fix = 'bring the authority back, or correct the clock; everything is cut until it is renewed';
      findings.push(fail('certificates', `${what} ended ${timeText(notAfter)}`, fix));
    } else findings.push(ok('certificates', `${what} holds until ${timeText(notAfter)}`));
  }
  if (certificate !== undefined && certificate.notBefore > now) {
    const fix = 'correct the clock of this machine';
    findings.push(fail('certificates', `the certificate begins ${timeText(certificate.notBefore)}`, fix));
  }
  // Nothing is trusted without one, so there is no root that could be missing without the others being so.
  for (const { trustDomain, sha256, notAfter } of roots) {
    const what = `root ${sha256.slice(0, 12)} of ${trustDomain}`;
    if (notAfter - now > ROOT_WARNING_MS)
      findings.push(ok('certificates', `${what} holds until ${timeText(notAfter)}`));
    else if (roots.some((other) => other.trustDomain === trustDomain && other.notAfter - now > ROOT_WARNING_MS)) {
      findings.push(ok('certificates', `${what} ends ${timeText(notAfter)}, and has a successor`));
    } else {
      const fix = 'have the authority rotate it in time: `ait certs show`, `ait certs rotate root`';
      const judge = notAfter <= now ? fail : warn;
      findings.push(judge('certificates', `${what} ends ${timeText(notAfter)}`, fix));
    }
  }
  return findings;
}

export function timeText(ms: number): string {
  return new Date(ms).toISOString();
}
