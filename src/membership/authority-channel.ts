import { Channel, type Client, type ClientUnaryCall, type ServiceError } from '@grpc/grpc-js';
import { rootPin, serverNameOfPin } from '../crypto/root-pin.ts';
import type { TlsContext } from '../crypto/tls-context.ts';
import { trustDomainOf, type SpiffeId } from '../domain/agent-id.ts';
import { rejection, type Rejection } from '../domain/rejection.ts';
import { reasonOf } from '../wire/error-status.ts';
import { CHANNEL_OPTIONS, OwnedConnectionCredentials, channelTarget } from '../wire/owned-channel.ts';
import { CONTROL_ALPN, type TrustedRoots } from './peer-inspection.ts';
import { ConnectionRefused, secureOutbound } from './secure-outbound.ts';

export interface AuthorityChannelOptions {
  /** `host:port`. */
  readonly address: string;
  /** Whom we must find there; an agent's certificate at this address is refused like a stranger's. */
  readonly expected: SpiffeId;
  readonly context: TlsContext;
  readonly roots: TrustedRoots;
  readonly handshakeTimeoutMs: number;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** Why the authority could not be asked, or what it answered instead. */
export class AuthorityError extends Error {
  /** The authority's own code (`JOIN_CREDENTIAL_EXPIRED`, …), where it answered with one. */
  readonly reason: string | undefined;
  /** What was wrong with whoever answered at its address, where something was. */
  readonly refused: Rejection | undefined;
  /** Whether asking again may help. */
  readonly transient: boolean;

  constructor(
    message: string,
    options: { reason?: string | undefined; refused?: Rejection | undefined; transient: boolean; cause?: unknown },
  ) {
    super(message, { cause: options.cause });
    this.reason = options.reason;
    this.refused = options.refused;
    this.transient = options.transient;
  }
}

/** gRPC codes that say nothing final: CANCELLED (our own timeout), UNKNOWN, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, ABORTED, INTERNAL, UNAVAILABLE. */
const TRANSIENT_CODES: ReadonlySet<number> = new Set([1, 2, 4, 8, 10, 13, 14]);

/** Longest answer of the authority we take, in bytes: a whole state is larger than a control message. */
const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;
const CALL_TIMEOUT_MS = 10_000;

type ClientClass<C extends Client> = new (
  address: string,
  credentials: OwnedConnectionCredentials,
  options: { channelOverride: Channel },
) => C;

/**
 * Tells the authority a root that we know, as it can show a certificate by one only: the one we have known longest. It
 * has a newer one at hand for whoever knows it, but after we were out of reach for a while that need not be us.
 */
function knownRoot({ roots, expected }: AuthorityChannelOptions): string | undefined {
  const [oldest] = roots.get(trustDomainOf(expected)) ?? [];
  return oldest === undefined ? undefined : serverNameOfPin(rootPin(oldest.raw));
}

/** One secured connection to the authority, with clients on it. When it breaks it is over; the owner makes another. */
export class AuthorityChannel {
  readonly #channel: Channel;
  readonly #credentials: OwnedConnectionCredentials;
  readonly #target: string;
  #refused: Rejection | undefined;
  #onClose: (() => void) | undefined;
  /** Settles when the connection is gone. */
  readonly closed: Promise<void>;

  constructor(options: AuthorityChannelOptions) {
    this.#target = channelTarget(options.address);
    this.closed = new Promise((resolve) => {
      this.#onClose = resolve;
    });
    this.#credentials = new OwnedConnectionCredentials(async (raw) => {
      try {
        const connection = await secureOutbound({
          raw,
          context: options.context,
          roots: options.roots,
          alpn: CONTROL_ALPN,
          timeoutMs: options.handshakeTimeoutMs,
          serverName: knownRoot(options),
          now: options.now,
        });
        const { spiffeId } = connection.peer.identity;
        if (spiffeId !== options.expected) {
          connection.socket.destroy();
          throw new ConnectionRefused(
            rejection(
              'UNEXPECTED_PEER',
              `expected ${options.expected} at ${options.address}, but ${spiffeId} answered`,
            ),
          );
        }
        connection.socket.once('close', () => this.close());
        return connection.socket;
      } catch (error) {
        if (error instanceof ConnectionRefused) this.#refused = error.rejection;
        throw error;
      }
    });
    this.#channel = new Channel(this.#target, this.#credentials, {
      ...CHANNEL_OPTIONS,
      'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
      // An authority that fell silent must be noticed: until then no revocation arrives.
      'grpc.keepalive_time_ms': 10_000,
      'grpc.keepalive_timeout_ms': 5_000,
    });
  }

  /** A client of one service on this connection. */
  client<C extends Client>(Service: ClientClass<C>): C {
    return new Service(this.#target, this.#credentials, { channelOverride: this.#channel });
  }

  /** A unary call as a promise. @throws AuthorityError */
  ask<Response>(
    call: (callback: (error: ServiceError | null, response?: Response) => void) => ClientUnaryCall,
  ): Promise<Response> {
    return new Promise((resolve, reject) => {
      // A gRPC deadline is a time of the wall clock, which may step; this is a duration.
      let giveUp = (): void => undefined;
      const timer = setTimeout(() => giveUp(), CALL_TIMEOUT_MS);
      const pending = call((error, response) => {
        clearTimeout(timer);
        if (error !== null) reject(this.explain(error));
        else if (response === undefined) reject(new AuthorityError('an empty answer', { transient: true }));
        else resolve(response);
      });
      giveUp = () => pending.cancel();
    });
  }

  /** What a failed call means, with what we know of the connection. */
  explain(error: ServiceError): AuthorityError {
    if (this.#refused !== undefined) {
      const { code, detail } = this.#refused;
      return new AuthorityError(`${code}: ${detail}`, {
        refused: this.#refused,
        transient: code !== 'UNEXPECTED_PEER',
        cause: error,
      });
    }
    const reason = reasonOf(error);
    return new AuthorityError(error.details === '' ? error.message : error.details, {
      reason,
      transient: TRANSIENT_CODES.has(error.code),
      cause: error,
    });
  }

  close(): void {
    this.#channel.close();
    this.#onClose?.();
  }
}
