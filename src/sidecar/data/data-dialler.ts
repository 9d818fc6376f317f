import type { TLSSocket } from 'node:tls';
import { rejection, type Rejection } from '../../domain/rejection.ts';
import type { Clock } from '../../platform/clock.ts';
import { dataAnswerCodec, dataOpenCodec } from '../../wire/services.ts';
import { refusedBy, type ExchangeTiming } from '../exchange/exchange.ts';
import type { Session } from '../session/session.ts';
import type { SessionRegistry } from '../session/session-registry.ts';
import { DATA_ALPN, type TrustedRoots } from '../../membership/peer-inspection.ts';
import {
  ConnectionRefused,
  openTcp,
  secureOutbound,
  type SecuredConnection,
} from '../../membership/secure-outbound.ts';
import { DataConnection } from './data-connection.ts';
import { framePreface, readPreface } from './preface.ts';

export interface DataDiallerDeps {
  readonly clock: Clock;
  readonly registry: SessionRegistry;
  readonly roots: () => TrustedRoots;
  /** The exchange's limit is also that of the peer's answer: it may first have to reach its agent. */
  readonly timing: Pick<ExchangeTiming, 'connectTimeoutMs' | 'handshakeTimeoutMs' | 'exchangeTimeoutMs'>;
}

export type DataDialResult =
  | { readonly ok: true; readonly connection: DataConnection }
  | {
      readonly ok: false;
      readonly cause: Rejection;
      /** The right agent answered, with a certificate that the session does not know (yet). */
      readonly hasRotated?: boolean;
    };

/** How long the other side may take to hang up, too. */
const HANG_UP_MS = 1000;

/** Opens a data connection of a live session. Never rejects. */
export async function dialData(session: Session, deps: DataDiallerDeps): Promise<DataDialResult> {
  let secured: SecuredConnection;
  try {
    secured = await secure(session, deps);
  } catch (error) {
    if (error instanceof ConnectionRefused) return { ok: false, cause: error.rejection };
    throw error;
  }
  const { socket, raw, peer } = secured;
  const connection = new DataConnection({ raw, socket });
  const refuse = (cause: Rejection) => {
    deps.registry.release(session, connection);
    raw.resetAndDestroy();
    return { ok: false, cause: session.cause ?? cause } as const;
  };
  // The very instance of the session, with the very certificate that was admitted.
  if (peer.identity.thumbprint !== session.certificate.thumbprint) {
    const { spiffeId } = peer.identity;
    const cause = rejection('UNEXPECTED_PEER', `${spiffeId} answered with another certificate than the session's`);
    if (spiffeId !== session.peer) return refuse(cause);
    hangUp(socket);
    return { ok: false, cause: session.cause ?? cause, hasRotated: true };
  }
  if (!deps.registry.own(session, connection))
    return refuse(rejection('DATA_SESSION_UNKNOWN', 'the session has just ended'));

  const open = {
    sessionId: Buffer.from(session.id ?? '', 'hex'),
    instanceId: session.peerInstance ?? '',
    correlationId: session.correlationId,
  };
  socket.write(framePreface(dataOpenCodec.encode(open)));
  const answer = await readPreface(socket, deps.timing.exchangeTimeoutMs);
  if (!answer.ok) return refuse(rejection('DATA_PREFACE_INVALID', answer.detail));
  const refusal = decodeAnswer(answer.message);
  if (refusal !== undefined) return refuse(refusal);
  if (session.state !== 'live' || !connection.usable)
    return refuse(rejection('DATA_SESSION_UNKNOWN', 'the session has just ended'));
  return { ok: true, connection };
}

/** Without a word, but in good order: a handshake that is cut off looks like an attack in the log of the peer. */
function hangUp(socket: TLSSocket): void {
  // What it sends, if anything, is of no interest; its end is.
  socket.resume();
  socket.end();
  const timer = setTimeout(() => socket.destroy(), HANG_UP_MS);
  socket.once('close', () => clearTimeout(timer));
}

async function secure({ peer, terms }: Session, deps: DataDiallerDeps): Promise<SecuredConnection> {
  if (terms === undefined || terms.dataAddress === '')
    throw new ConnectionRefused(rejection('PEER_ADDRESS_UNKNOWN', `${peer} takes no data connections`));
  const raw = await openTcp(terms.dataAddress, deps.timing.connectTimeoutMs);
  return secureOutbound({
    raw,
    context: terms.ours.tls,
    roots: deps.roots(),
    alpn: DATA_ALPN,
    timeoutMs: deps.timing.handshakeTimeoutMs,
    now: () => deps.clock.now(),
  });
}

function decodeAnswer(message: Buffer): Rejection | undefined {
  try {
    const { answer, refusal } = dataAnswerCodec.decode(message);
    if (answer === 'accepted') return undefined;
    if (refusal === null || refusal === undefined) return rejection('DATA_PREFACE_INVALID', 'the answer says nothing');
    const cause = refusedBy(refusal, 'PEER_REFUSED');
    return cause.peerSaid?.reason === 'WRONG_INSTANCE' ? { ...cause, code: 'WRONG_INSTANCE' } : cause;
  } catch (error) {
    return rejection('DATA_PREFACE_INVALID', `the answer is no message of ours: ${String(error)}`);
  }
}
