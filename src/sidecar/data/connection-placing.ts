import type { SpiffeId } from '../../domain/agent-id.ts';
import type { Rejection, RejectionCode } from '../../domain/rejection.ts';
import { isIllHealth } from '../session/ill-health.ts';
import type { Session } from '../session/session.ts';
import type { SessionContinuity } from '../session/session-continuity.ts';
import type { SessionPool } from '../session/session-pool.ts';
import type { DataConnection } from './data-connection.ts';
import { dialData, type DataDiallerDeps } from './data-dialler.ts';

export interface PlacingDeps extends DataDiallerDeps {
  readonly pool: SessionPool;
  readonly continuity: SessionContinuity;
}

export type Placed =
  | { readonly ok: true; readonly session: Session; readonly connection: DataConnection }
  | {
      readonly ok: false;
      readonly cause: Rejection;
      /** Shared with the peer's log; empty where no session was tried. */
      readonly correlationId: string;
    };

/** What a data connection meets when the instance of its session is no longer what it was at the exchange. */
const MOVED_ON: ReadonlySet<RejectionCode> = new Set([
  'UNEXPECTED_PEER',
  'WRONG_INSTANCE',
  'PEER_UNREACHABLE',
  'DATA_SESSION_UNKNOWN',
  'DATA_PREFACE_INVALID',
  'TLS_HANDSHAKE_FAILED',
  'PEER_LOST',
]);

/** One that goes away in good order may be gone before our connection is there. */
function movedOn({ code, peerSaid }: Rejection): boolean {
  return MOVED_ON.has(code) || peerSaid?.reason === 'DRAINING';
}

/** Attempts to place one connection, where nobody is to blame or another instance may be well; and else. */
const ATTEMPTS = 3;
const ATTEMPTS_ELSEWHERE = 2;

/**
 * Places one connection, on which nothing has been sent yet, on an instance of the peer: on another at once where the
 * first cannot be reached or does not take it. Never on another for what admission found.
 *
 * @param isGone whether nobody waits for it any more
 */
export async function placeConnection(peer: SpiffeId, deps: PlacingDeps, isGone: () => boolean): Promise<Placed> {
  const { pool, continuity } = deps;
  const failed = new Set<Session>();
  let last: { readonly session: Session; readonly cause: Rejection; readonly isElsewhere: boolean } | undefined;
  for (let attempt = 1; ; attempt += 1) {
    const pooled = await pool.sessionTo(peer, last && failed);
    if (!pooled.ok) {
      // Where the instance is gone the new exchange tells why; where it only refused, nobody else was there to ask.
      if (last === undefined || last.isElsewhere) {
        if (last !== undefined) pool.gaveUp(peer, last.cause);
        return { ok: false, cause: pooled.cause, correlationId: '' };
      }
      return giveUp(last);
    }
    const { session } = pooled;
    const dialled = await dialData(session, deps);
    pool.report(session, dialled.ok ? undefined : dialled.cause);
    if (dialled.ok) return { ok: true, session, connection: dialled.connection };
    const { cause, hasRotated } = dialled;
    // The instance has another certificate now, or is gone: a new exchange will tell.
    const isContinued = hasRotated === true && (await continuity.now(session));
    const isElsewhere = !isContinued && movedOn(cause);
    const isIll = !isContinued && isIllHealth(cause);
    if (isElsewhere) pool.retire(session);
    if (isElsewhere || isIll) failed.add(session);
    last = { session, cause, isElsewhere };
    const mayTry =
      pool.gaveUpLeaving(session) || isContinued || isIll ? ATTEMPTS : isElsewhere ? ATTEMPTS_ELSEWHERE : 1;
    if (attempt >= mayTry || isGone()) return giveUp(last);
  }

  function giveUp({ session, cause }: { readonly session: Session; readonly cause: Rejection }): Placed {
    pool.gaveUp(peer, cause);
    return { ok: false, cause, correlationId: session.correlationId };
  }
}
