/**
 * The exchange: how two sidecars come to accept each other, and keep doing so. The dialler's and the acceptor's story
 * stand in `dialler.ts` and `acceptor.ts`; this file holds what both share.
 */
import type { AdmissionPorts } from '../../domain/admission.ts';
import type { SpiffeId } from '../../domain/agent-id.ts';
import { rejection, type Rejection } from '../../domain/rejection.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Logger } from '../../platform/logger.ts';
import type { RandomSource } from '../../platform/random.ts';
import { fromEnding } from '../../wire/wire-reason.ts';
import type { IdentitySource } from '../identity/presented-identity.ts';
import type { Session } from '../session/session.ts';
import type { SessionRegistry } from '../session/session-registry.ts';
import type { DecisionLog } from '../decision-log.ts';
import type { SidecarMetrics } from '../sidecar-metrics.ts';
import type { ControlStream, IncomingMessage } from './control-stream.ts';
import type { ProofChecker, ProofMaker } from './connection-binding.ts';
import type { PresentedIdentity, Statement } from '../identity/presented-identity.ts';

/** Protocol versions this build speaks, best first. */
export const PROTOCOL_VERSIONS = [1] as const;

/** Limits of one control message, in bytes. */
export const MAX_CONTROL_MESSAGE_BYTES = 64 * 1024;

export interface ExchangeTiming {
  /** For a TCP connection, milliseconds. Default 2000. */
  readonly connectTimeoutMs: number;
  /** From the first byte to the verdict, milliseconds. Default 5000. */
  readonly exchangeTimeoutMs: number;
  readonly handshakeTimeoutMs: number;
  /** Mean time between two proofs of a live session, milliseconds; jittered by a fifth. Default 5000. */
  readonly heartbeatMs: number;
  /** Silence after which a peer counts as lost, milliseconds. Default 15000. */
  readonly lostAfterMs: number;
}

export interface ExchangeDeps {
  readonly self: SpiffeId;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: RandomSource;
  readonly timing: ExchangeTiming;
  readonly identity: IdentitySource;
  readonly registry: SessionRegistry;
  readonly ports: AdmissionPorts;
  readonly metrics: SidecarMetrics;
  readonly decisions: DecisionLog;
  /** `host:port` at which this instance takes data connections. */
  readonly dataAddress: () => string;
  /** The peer, or a connection of ours, has found that a session we dialled must be continued. */
  readonly continueSession: (session: Session) => void;
  /** The peer of a live session says that it is going away; it may say so again and again. */
  readonly onPeerDraining: (session: Session) => void;
  /** A session that was accepted needs heartbeats, renewed tokens and its incoming messages judged. */
  readonly keepAlive: (live: LiveExchange) => void;
}

/** What is left to run once both sides have accepted. */
export interface LiveExchange {
  readonly session: Session;
  readonly stream: ControlStream;
  readonly ours: PresentedIdentity;
  /** What the exchange said of us; newer statements follow. */
  readonly stated: Statement;
  readonly proofs: ProofMaker;
  readonly checker: ProofChecker;
}

/** The message that must come next, or why it did not. */
export type Expected<K extends keyof IncomingMessage> =
  | { readonly ok: true; readonly value: NonNullable<IncomingMessage[K]> }
  | { readonly ok: false; readonly cause: Rejection };

/** Waits for the one message that may come now; a refusal by the peer and the end of the stream have their own names. */
export async function expectMessage<K extends 'hello' | 'proof' | 'accept'>(
  stream: ControlStream,
  kind: K,
): Promise<Expected<K>> {
  const message = await stream.next();
  if (message === undefined) {
    const detail = stream.overflowed ? 'more messages than the exchange has' : `the connection ended before ${kind}`;
    return { ok: false, cause: rejection(stream.overflowed ? 'PROTOCOL_ERROR' : 'PEER_LOST', detail) };
  }
  const value = message[kind];
  if (message.message === kind && value !== null && value !== undefined) {
    return { ok: true, value };
  }
  const ending = message.reject ?? message.goodbye;
  if (ending !== null && ending !== undefined) return { ok: false, cause: refusedBy(ending, 'PEER_REFUSED') };
  return {
    ok: false,
    cause: rejection('PROTOCOL_ERROR', `expected ${kind}, got ${message.message ?? 'an empty message'}`),
  };
}

export function refusedBy(ending: Parameters<typeof fromEnding>[0], code: 'PEER_REFUSED' | 'PEER_ENDED'): Rejection {
  const peerSaid = fromEnding(ending);
  return rejection(code, `the peer says ${peerSaid.reason}, correlation id ${peerSaid.correlationId}`, { peerSaid });
}

/** A nonce of the right size, or why not. */
export function checkNonce(nonce: Uint8Array, bytes: number): Rejection | undefined {
  return nonce.length === bytes
    ? undefined
    : rejection('PROTOCOL_ERROR', `a nonce of ${nonce.length} bytes, not ${bytes}`);
}

/** Ends the session for taking too long, unless it is settled by then. */
export function armExchangeTimeout(session: Session, { registry, timing }: ExchangeDeps): void {
  const { exchangeTimeoutMs } = timing;
  const timer = setTimeout(() => {
    registry.end(session, rejection('EXCHANGE_TIMEOUT', `no verdict within ${exchangeTimeoutMs} ms`));
  }, exchangeTimeoutMs);
  registry.onceSettled(session, () => clearTimeout(timer));
}

export function isRejectionValue(value: object): value is Rejection {
  return 'code' in value;
}
