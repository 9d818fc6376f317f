import type { Client, ClientDuplexStream } from '@grpc/grpc-js';
import { admit, type Candidate } from '../../domain/admission.ts';
import type { SpiffeId } from '../../domain/agent-id.ts';
import { isHostPort } from '../../domain/host-port.ts';
import { rejection, type Rejection } from '../../domain/rejection.ts';
import type { ExchangeRequest } from '../../wire/generated/ait/v1/ExchangeRequest.ts';
import type { ExchangeResponse__Output } from '../../wire/generated/ait/v1/ExchangeResponse.ts';
import { CHANNEL_OPTIONS, OwnedConnectionCredentials, channelTarget } from '../../wire/owned-channel.ts';
import { AgentIdentityExchangeClient } from '../../wire/services.ts';
import { Session } from '../session/session.ts';
import type { Acceptance } from '../session/session-registry.ts';
import { CONTROL_ALPN, type TrustedRoots } from '../../membership/peer-inspection.ts';
import { ConnectionRefused, secureOutbound, type SecuredConnection } from '../../membership/secure-outbound.ts';
import type { PresentedIdentity } from '../identity/presented-identity.ts';
import { newCorrelationId } from './acceptor.ts';
import { checkAnswered, continuationOf } from './continuation.ts';
import { NONCE_BYTES, ProofChecker, ProofMaker, sessionIdOf } from './connection-binding.ts';
import { ControlStream } from './control-stream.ts';
import {
  MAX_CONTROL_MESSAGE_BYTES,
  PROTOCOL_VERSIONS,
  armExchangeTimeout,
  checkNonce,
  expectMessage,
  isRejectionValue,
  type ExchangeDeps,
} from './exchange.ts';

export type DialResult = Acceptance;

export interface DialTarget {
  readonly peer: SpiffeId;
  /** `host:port`; may be a balancer in front of many instances. */
  readonly address: string;
  /** A live session that shall go on over the new connection. Default: a new session. */
  readonly continues?: Session;
}

export interface DialDeps extends ExchangeDeps {
  readonly roots: () => TrustedRoots;
  /** Aborts when this sidecar stops: nothing is dialled any more, and what is being dialled is given up at once. */
  readonly stopping: AbortSignal;
}

/** Our own doing: no other address would change it. */
const STOPPING: Rejection = { ...rejection('PEER_DRAINING', 'this sidecar is shutting down'), self: true };

/** The dialler's side of one exchange, from the first packet to the verdict. Never rejects. */
export async function dialExchange(target: DialTarget, deps: DialDeps): Promise<DialResult> {
  const { registry, clock, timing } = deps;
  const correlationId = target.continues?.correlationId ?? newCorrelationId(deps);
  const refuse = (cause: Rejection): DialResult => {
    const { peer, address } = target;
    const { decisions } = deps;
    decisions.refused({
      correlationId,
      subject: peer,
      direction: 'outbound',
      remoteAddress: address,
      cause,
      exchange: true,
    });
    return { ok: false, cause };
  };

  if (deps.stopping.aborted) return { ok: false, cause: STOPPING };
  const ours = await deps.identity.forExchange(timing.exchangeTimeoutMs);
  // Whoever wanted the session says so in the log; no exchange was attempted.
  if (isRejectionValue(ours)) return { ok: false, cause: ours };
  const opened = await openControl(target, ours, deps);
  if (!opened.ok) return refuse(opened.cause);

  const { call, connection } = opened;
  const stream = new ControlStream(call, connection.socket);
  const session = new Session({
    correlationId,
    role: 'dialler',
    certificate: connection.peer.identity,
    control: stream,
    remoteAddress: target.address,
    monotonicNow: clock.monotonic(),
  });
  session.continues = target.continues;
  registry.register(session);
  armExchangeTimeout(session, deps);
  connection.socket.once('close', () => registry.controlClosed(stream));
  const conversed = await converse({ session, stream, connection, ours, target }, deps);
  return conversed.ok ? conversed : { ok: false, cause: registry.end(session, conversed.cause) };
}

interface Conversation {
  readonly session: Session;
  readonly stream: ControlStream;
  readonly connection: SecuredConnection;
  readonly ours: PresentedIdentity;
  readonly target: DialTarget;
}

/** Our Hello → their Hello and Proof → admission → our Proof and Accept → their Accept. */
async function converse(
  { session, stream, connection, ours, target }: Conversation,
  deps: DialDeps,
): Promise<DialResult> {
  const { registry, random, clock, ports } = deps;
  const { identity } = connection.peer;
  // Whom did we dial? Before our token is shown to anybody.
  if (identity.spiffeId !== target.peer) {
    return refusal(rejection('UNEXPECTED_PEER', `dialled ${target.peer}, but ${identity.spiffeId} answered`));
  }
  // While the connection was made the agent may have changed; a token of before would not go with a proof of now.
  if (!ours.caughtUp) {
    const again = await deps.identity.forExchange(deps.timing.exchangeTimeoutMs, ours.thumbprint);
    if (isRejectionValue(again)) return refusal(again);
  }
  const stated = ours.statement();
  const ourNonce = random.bytes(NONCE_BYTES);
  stream.send({
    hello: {
      versions: [...PROTOCOL_VERSIONS],
      ait: stated.ait,
      nonce: ourNonce,
      instanceId: ours.instanceId,
      dataAddress: deps.dataAddress(),
      correlationId: session.correlationId,
      continuation: target.continues === undefined ? null : continuationOf(target.continues, ours),
    },
  });
  const hello = await expectMessage(stream, 'hello');
  if (!hello.ok) return refusal(hello.cause);
  const [version] = hello.value.versions;
  if (!PROTOCOL_VERSIONS.some((known) => known === version)) {
    return refusal(rejection('PROTOCOL_VERSION_UNSUPPORTED', `the peer chose version ${version ?? 'none'}`));
  }
  const badNonce = checkNonce(hello.value.nonce, NONCE_BYTES);
  if (badNonce !== undefined) return refusal(badNonce);
  const { dataAddress } = hello.value;
  if (dataAddress !== '' && !isHostPort(dataAddress)) {
    return refusal(rejection('PROTOCOL_ERROR', 'the address for data connections is not host:port'));
  }
  if (target.continues !== undefined) {
    const stranger = checkAnswered(target.continues, identity, hello.value.continuation);
    if (stranger !== undefined) return refusal(stranger);
  }
  const binding = { ourRole: 'dialler', ours, peer: identity, ourNonce, peerNonce: hello.value.nonce } as const;
  if (!registry.name(session, sessionIdOf(binding))) {
    return refusal(session.cause ?? rejection('PROTOCOL_ERROR', 'the session exists already'));
  }
  const proof = await expectMessage(stream, 'proof');
  if (!proof.ok) return refusal(proof.cause);

  const checker = new ProofChecker(deps.self, binding);
  const candidate: Candidate = {
    relation: 'dialled',
    expected: target.peer,
    certificate: identity,
    instance: hello.value.instanceId,
    token: { compact: hello.value.ait },
    proof: proof.value.jws,
    heldUnder: target.continues?.permit?.baseline,
  };
  const verdict = await admit(candidate, { ...ports, checkProof: (jws, token) => checker.check(jws, token) });
  if (!verdict.admitted) return refusal(verdict.rejection);

  const proofs = new ProofMaker(binding);
  stream.send({ proof: { jws: proofs.next(stated, clock.now()) } });
  stream.send({ accept: {} });
  const accepted = await expectMessage(stream, 'accept');
  if (!accepted.ok) return refusal(accepted.cause);
  const made = registry.accept(session, { permit: verdict.permit, ours, dataAddress });
  if (made.ok) deps.keepAlive({ session: made.session, stream, ours, stated, proofs, checker });
  return made;
}

function refusal(cause: Rejection): DialResult {
  return { ok: false, cause };
}

type Opened =
  | {
      readonly ok: true;
      readonly call: ClientDuplexStream<ExchangeRequest, ExchangeResponse__Output>;
      readonly connection: SecuredConnection;
    }
  | { readonly ok: false; readonly cause: Rejection };

/** A channel with one connection that we secured ourselves, and the one call on it. */
function openControl(target: DialTarget, ours: PresentedIdentity, deps: DialDeps): Promise<Opened> {
  const { timing, clock, stopping } = deps;
  return new Promise((resolve) => {
    let connected = false;
    let finished = false;
    const credentials = new OwnedConnectionCredentials(async (raw) => {
      clearTimeout(connectTimer);
      const connection = await secureOutbound({
        raw,
        context: ours.tls,
        roots: deps.roots(),
        alpn: CONTROL_ALPN,
        timeoutMs: timing.handshakeTimeoutMs,
        now: () => clock.now(),
        signal: stopping,
      }).catch((error: unknown) => {
        finish({ ok: false, cause: causeOf(error) });
        throw error;
      });
      if (finished) {
        // We gave up meanwhile; nobody else would close it.
        connection.socket.destroy();
        throw new Error('given up');
      }
      connected = true;
      connection.socket.once('close', () => client.close());
      finish({ ok: true, call, connection });
      return connection.socket;
    });
    const client = new AgentIdentityExchangeClient(channelTarget(target.address), credentials, {
      ...CHANNEL_OPTIONS,
      'grpc.max_receive_message_length': MAX_CONTROL_MESSAGE_BYTES,
      'grpc.max_send_message_length': MAX_CONTROL_MESSAGE_BYTES,
    });
    const call = client.Exchange();
    const unreachable = (detail: string) => {
      finish({ ok: false, cause: rejection('PEER_UNREACHABLE', `${target.address}: ${detail}`) });
    };
    // Before TCP is up nobody is there at all, and another instance may be.
    const connectTimer = setTimeout(
      () => unreachable(`no connection within ${timing.connectTimeoutMs} ms`),
      timing.connectTimeoutMs,
    );
    const timer = setTimeout(
      () => unreachable(`no secured connection within ${timing.exchangeTimeoutMs} ms`),
      timing.exchangeTimeoutMs,
    );
    const finish = (result: Opened) => {
      finished = true;
      clearTimeout(timer);
      clearTimeout(connectTimer);
      stopping.removeEventListener('abort', giveUp);
      resolve(result);
      if (!result.ok) endCall(call, client);
    };
    const giveUp = () => finish({ ok: false, cause: STOPPING });
    stopping.addEventListener('abort', giveUp, { once: true });
    call.once('error', (error) => {
      if (!connected) unreachable(error.message);
    });
  });
}

function endCall(call: ClientDuplexStream<ExchangeRequest, ExchangeResponse__Output>, client: Client): void {
  call.on('error', () => undefined);
  call.cancel();
  client.close();
}

function causeOf(error: unknown): Rejection {
  if (error instanceof ConnectionRefused) return error.rejection;
  return rejection('TLS_HANDSHAKE_FAILED', error instanceof Error ? error.message : String(error));
}
