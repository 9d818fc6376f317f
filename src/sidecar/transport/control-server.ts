import { Server, ServerCredentials, type ConnectionInjector } from '@grpc/grpc-js';
import { CHANNEL_OPTIONS } from '../../wire/owned-channel.ts';
import { exchangeService } from '../../wire/services.ts';
import { toServiceError } from '../../wire/error-status.ts';
import type { ServerDuplexStream } from '@grpc/grpc-js';
import type { ExchangeRequest__Output } from '../../wire/generated/ait/v1/ExchangeRequest.ts';
import type { ExchangeResponse } from '../../wire/generated/ait/v1/ExchangeResponse.ts';
import { MAX_CONTROL_MESSAGE_BYTES } from '../exchange/exchange.ts';
import type { InboundPeer } from './inbound-listener.ts';

export type ExchangeCall = ServerDuplexStream<ExchangeRequest__Output, ExchangeResponse>;

/**
 * The gRPC server behind our own TLS server. It is bound to no port: the only way in is a socket that was inspected
 * and handed over, and the only service on it is the exchange, once per connection.
 */
export class ControlServer {
  readonly #server: Server;
  readonly #injector: ConnectionInjector;
  readonly #waiting = new Map<string, InboundPeer>();

  constructor(onExchange: (call: ExchangeCall, peer: InboundPeer) => void) {
    this.#server = new Server({
      ...CHANNEL_OPTIONS,
      'grpc.max_receive_message_length': MAX_CONTROL_MESSAGE_BYTES,
      'grpc.max_send_message_length': MAX_CONTROL_MESSAGE_BYTES,
      'grpc.max_concurrent_streams': 1,
      // Enough for the largest message and little more: a peer cannot make us hold memory for it.
      'grpc-node.max_session_memory': 1,
    });
    this.#server.addService(exchangeService, {
      Exchange: (call: ExchangeCall) => {
        const key = call.getPeer();
        const peer = this.#waiting.get(key);
        this.#waiting.delete(key);
        if (peer === undefined) {
          const error = toServiceError({
            grpc: 'FAILED_PRECONDITION',
            code: 'PROTOCOL_ERROR',
            message: 'a connection carries exactly one exchange',
          });
          call.emit('error', error);
          return;
        }
        onExchange(call, peer);
      },
    });
    // The injector decides about TLS nowhere: its sockets come with TLS on.
    this.#injector = this.#server.createConnectionInjector(ServerCredentials.createInsecure());
  }

  /** Hands over an inspected `h2` socket. */
  take(peer: InboundPeer): void {
    this.#waiting.set(peer.remoteAddress, peer);
    peer.socket.once('close', () => this.#waiting.delete(peer.remoteAddress));
    // The listener allows half-open connections for the agents' sake. A control connection whose peer has ended it is
    // over: a killed peer is noticed now, and not when its heartbeats have been missing for long enough.
    peer.socket.once('end', () => peer.socket.destroy());
    this.#injector.injectConnection(peer.socket);
  }

  stop(): void {
    this.#server.forceShutdown();
  }
}
