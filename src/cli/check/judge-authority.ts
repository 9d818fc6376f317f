import { fail, ok, type Finding } from './finding.ts';
import { timeText } from './judge-sidecar.ts';

/** What the server at the authority's address showed of itself; nothing of it is verified. */
export type AuthorityLook =
  | {
      readonly ok: true;
      /** The server's own certificate, ms since the epoch. */
      readonly notBefore: number;
      readonly notAfter: number;
      /** SHA-256 of each certificate that it sent. */
      readonly sent: readonly string[];
    }
  | { readonly ok: false; readonly detail: string };

export interface AuthorityQuestion {
  readonly address: string;
  readonly look: AuthorityLook;
  /** SHA-256 of the roots that the sidecar trusts; empty: it could not be asked. */
  readonly roots: readonly string[];
  /** By our clock, ms since the epoch. */
  readonly now: number;
}

/** Whether the authority can be reached from here, is the one that the sidecar knows, and lives at the same time. */
export function judgeAuthority({ address, look, roots, now }: AuthorityQuestion): readonly Finding[] {
  if (!look.ok) {
    const fix = 'is it running, and does the network let this machine reach it? Sidecars go on for `outageTolerance`';
    return [fail('authority-way', `${address}: ${look.detail}`, fix)];
  }
  const { notBefore, notAfter, sent } = look;
  const findings: Finding[] = [];
  if (roots.length > 0 && !sent.some((each) => roots.includes(each))) {
    const fix = 'correct `authority.address`; if it is right, somebody stands in between: do not go on';
    findings.push(fail('authority-way', `${address} shows none of the roots that this sidecar trusts`, fix));
  } else findings.push(ok('authority-way', address));
  const fix = 'set the clock that is off, and keep it by NTP (`timedatectl status`)';
  const ours = `our clock says ${timeText(now)}`;
  if (now < notBefore) {
    findings.push(fail('clock', `the authority's certificate begins ${timeText(notBefore)}; ${ours}`, fix));
  } else if (now > notAfter) {
    findings.push(fail('clock', `the authority's certificate ended ${timeText(notAfter)}; ${ours}`, fix));
  }
  return findings;
}
