/**
 * How a live session goes on over a new control connection, after either side's certificate was rotated: a whole
 * exchange, in which the key of the certificate shown before vouches for the one shown now.
 */
import { voucherProblem } from '../../crypto/voucher.ts';
import type { PeerIdentity } from '../../crypto/svid.ts';
import { rejection, type Rejection } from '../../domain/rejection.ts';
import type { Continuation, Continuation__Output } from '../../wire/generated/ait/v1/Continuation.ts';
import type { PresentedIdentity } from '../identity/presented-identity.ts';
import type { Session } from '../session/session.ts';
import type { SessionRegistry } from '../session/session-registry.ts';

/** What our Hello says when it continues a session; the voucher is empty where we show the same certificate. */
export function continuationOf(session: Session, ours: PresentedIdentity): Continuation {
  const before = session.terms?.ours;
  const sid = session.id ?? '';
  const isSame = before === undefined || before.thumbprint === ours.thumbprint;
  const voucher = isSame ? '' : before.vouch(ours.thumbprint, { sid, role: session.role });
  return { sessionId: Buffer.from(sid, 'hex'), voucher };
}

/**
 * The live session that a dialler asks to continue, or why it may not. Fails closed: another agent, another role, a
 * certificate that nobody vouched for.
 */
export function findContinued(
  { sessionId, voucher }: Continuation__Output,
  { peer, registry }: { readonly peer: PeerIdentity; readonly registry: SessionRegistry },
): Session | Rejection {
  const session = registry.find(sessionId.toString('hex'));
  if (session?.state !== 'live' || session.role !== 'acceptor') {
    return rejection('CONTINUATION_UNKNOWN', 'there is no live session of that id that a caller could continue');
  }
  return vouchedFor(session, peer, voucher) ?? session;
}

/** Whether who answers is who the session is with. */
export function checkAnswered(
  session: Session,
  peer: PeerIdentity,
  continuation: Continuation__Output | null,
): Rejection | undefined {
  if (continuation === null || continuation.sessionId.toString('hex') !== session.id) {
    return rejection('CONTINUATION_INVALID', 'the peer does not continue the session that it was asked to');
  }
  return vouchedFor(session, peer, continuation.voucher);
}

function vouchedFor(session: Session, peer: PeerIdentity, voucher: string): Rejection | undefined {
  const { certificate, id = '', role } = session;
  if (peer.spiffeId !== session.peer) {
    return rejection('CONTINUATION_INVALID', `the session is with ${session.peer}, not with ${peer.spiffeId}`);
  }
  if (peer.thumbprint === certificate.thumbprint) return undefined;
  const problem = voucherProblem({
    compact: voucher,
    expected: {
      sid: id,
      role: role === 'dialler' ? 'acceptor' : 'dialler',
      from: certificate.thumbprint,
      to: peer.thumbprint,
    },
    publicKey: certificate.publicKey,
  });
  return problem === undefined ? undefined : rejection('CONTINUATION_INVALID', problem);
}
