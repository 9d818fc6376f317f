import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { CallCredentials, ChannelCredentials, type ChannelOptions, type experimental } from '@grpc/grpc-js';

/**
 * Channel credentials that give us the socket: grpc-js opens the TCP connection, we put TLS on it and check what we
 * find before a byte of HTTP/2 is sent.
 *
 * One connection, ever. grpc-js would redial by itself when a connection ends and, on the new one, nobody would have
 * been admitted; every further attempt is refused here.
 */
export class OwnedConnectionCredentials extends ChannelCredentials {
  readonly #secure: (tcp: Socket) => Promise<TLSSocket>;
  #used = false;

  /** @param secure does the TLS handshake and every check on it; a rejection is the reason why the channel fails. */
  constructor(secure: (tcp: Socket) => Promise<TLSSocket>) {
    super();
    this.#secure = secure;
  }

  override _isSecure(): boolean {
    return true;
  }

  override _equals(other: ChannelCredentials): boolean {
    return this === other;
  }

  override _createSecureConnector(): experimental.SecureConnector {
    return {
      connect: async (tcp) => {
        if (this.#used) throw new Error('this channel had its one connection');
        this.#used = true;
        return { socket: await this.#secure(tcp), secure: true };
      },
      waitForReady: () =>
        this.#used ? Promise.reject(new Error('this channel had its one connection')) : Promise.resolve(),
      getCallCredentials: () => CallCredentials.createEmpty(),
      destroy: () => undefined,
    };
  }
}

/** Options of every channel and server of ours; nothing that retries, traces, proxies or shares by itself. */
export const CHANNEL_OPTIONS: ChannelOptions = {
  'grpc.enable_retries': 0,
  'grpc.enable_channelz': 0,
  // An http_proxy in the environment would be put between the two sidecars.
  'grpc.enable_http_proxy': 0,
  'grpc.use_local_subchannel_pool': 1,
  'grpc.service_config_disable_resolution': 1,
};

/** The target form that makes grpc-js use an address as it is. `address` is `host:port`, IPv6 in brackets. */
export function channelTarget(address: string): string {
  if (address.startsWith('[')) return `ipv6:${address}`;
  return /^\d+\.\d+\.\d+\.\d+:\d+$/.test(address) ? `ipv4:${address}` : `dns:${address}`;
}
