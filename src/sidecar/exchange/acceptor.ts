import type { ServerDuplexStream } from '@grpc/grpc-js';
import { admit, type Candidate } from '../../domain/admission.ts';
import { rejection, type Rejection } from '../../domain/rejection.ts';
import type { ExchangeRequest__Output } from '../../wire/generated/ait/v1/ExchangeRequest.ts';
import type { ExchangeResponse } from '../../wire/generated/ait/v1/ExchangeResponse.ts';
import { safeCorrelationId } from '../../wire/wire-reason.ts';
import { Session } from '../session/session.ts';
import type { InboundPeer } from '../transport/inbound-listener.ts';
import { continuationOf, findContinued } from './continuation.ts';
import { NONCE_BYTES, ProofChecker, ProofMaker, sessionIdOf } from './connection-binding.ts';
import { ControlStream } from './control-stream.ts';
import { PROTOCOL_VERSIONS, checkNonce, expectMessage, isRejectionValue, type ExchangeDeps } from './exchange.ts';

/** The acceptor's side of one exchange, from the call's arrival to the verdict. Never rejects. */
export async function acceptExchange(
  call: ServerDuplexStream<ExchangeRequest__Output, ExchangeResponse>,
  peer: InboundPeer,
  deps: ExchangeDeps,
): Promise<void> {
  const { registry, clock } = deps;
  const stream = new ControlStream(call, peer.socket);
  const session = new Session({
    correlationId: newCorrelationId(deps),
    role: 'acceptor',
    certificate: peer.identity,
    control: stream,
    remoteAddress: peer.remoteAddress,
    monotonicNow: clock.monotonic(),
  });
  registry.register(session);
  // The session keeps the deadline that began with the handshake: one timer, one cause on record.
  peer.whenOverdue((cause) => registry.end(session, cause));
  peer.socket.once('close', () => registry.controlClosed(stream));
  registry.onceSettled(session, () => peer.authenticated());

  const hello = await expectMessage(stream, 'hello');
  if (!hello.ok) {
    registry.end(session, hello.cause);
    return;
  }
  // Both sides' log lines of one session share the dialler's id.
  session.correlationId = safeCorrelationId(hello.value.correlationId) ?? session.correlationId;
  const refused = await converse({ session, stream, peer, hello: hello.value }, deps);
  if (refused !== undefined) registry.end(session, refused);
}

interface Conversation {
  readonly session: Session;
  readonly stream: ControlStream;
  readonly peer: InboundPeer;
  readonly hello: NonNullable<ExchangeRequest__Output['hello']>;
}

/** Hello → our Hello and Proof → Proof and Accept → admission → our Accept. */
async function converse(
  { session, stream, peer, hello }: Conversation,
  deps: ExchangeDeps,
): Promise<Rejection | undefined> {
  const { registry, random, clock, ports } = deps;
  const version = PROTOCOL_VERSIONS.find((ours) => hello.versions.includes(ours));
  if (version === undefined) {
    return rejection(
      'PROTOCOL_VERSION_UNSUPPORTED',
      `the peer speaks ${hello.versions.slice(0, 16).join(', ') || 'nothing'}`,
    );
  }
  const badNonce = checkNonce(hello.nonce, NONCE_BYTES);
  if (badNonce !== undefined) return badNonce;

  if (hello.continuation !== null) {
    const continued = findContinued(hello.continuation, { peer: peer.identity, registry });
    if (isRejectionValue(continued)) return continued;
    session.continues = continued;
  }
  const leaving = registry.refuseWhileDraining(session);
  if (leaving !== undefined) return leaving;

  const ours = await deps.identity.forExchange(deps.timing.exchangeTimeoutMs, peer.shown);
  if (isRejectionValue(ours)) return ours;
  const stated = ours.statement();
  const ourNonce = random.bytes(NONCE_BYTES);
  const binding = { ourRole: 'acceptor', ours, peer: peer.identity, ourNonce, peerNonce: hello.nonce } as const;
  if (!registry.name(session, sessionIdOf(binding))) return rejection('PROTOCOL_ERROR', 'the session exists already');
  const proofs = new ProofMaker(binding);
  const checker = new ProofChecker(deps.self, binding);
  stream.send({
    hello: {
      versions: [version],
      ait: stated.ait,
      nonce: ourNonce,
      instanceId: ours.instanceId,
      dataAddress: deps.dataAddress(),
      correlationId: session.correlationId,
      continuation: session.continues === undefined ? null : continuationOf(session.continues, ours),
    },
  });
  stream.send({ proof: { jws: proofs.next(stated, clock.now()) } });

  const proof = await expectMessage(stream, 'proof');
  if (!proof.ok) return proof.cause;
  const accepted = await expectMessage(stream, 'accept');
  if (!accepted.ok) return accepted.cause;

  const candidate: Candidate = {
    relation: 'accepted',
    expected: undefined,
    certificate: peer.identity,
    instance: hello.instanceId,
    token: { compact: hello.ait },
    proof: proof.value.jws,
    heldUnder: session.continues?.permit?.baseline,
  };
  const verdict = await admit(candidate, { ...ports, checkProof: (jws, token) => checker.check(jws, token) });
  if (!verdict.admitted) return verdict.rejection;
  const made = registry.accept(session, { permit: verdict.permit, ours, dataAddress: hello.dataAddress });
  if (!made.ok) return made.cause;
  stream.send({ accept: {} });
  deps.keepAlive({ session: made.session, stream, ours, stated, proofs, checker });
  return undefined;
}

export function newCorrelationId({ random }: Pick<ExchangeDeps, 'random'>): string {
  return random.bytes(9).toString('base64url');
}
