/** What an exchange is compared with: an empty grpc-js stream on a fresh mTLS connection, and nothing of ours on it. */
import { createServer, type TLSSocket } from 'node:tls';
import type { AddressInfo } from 'node:net';
import { ChannelCredentials, Server, ServerCredentials, status } from '@grpc/grpc-js';
import { serverTlsOptions, type TlsContext } from '../../src/crypto/tls-context.ts';
import { CHANNEL_OPTIONS } from '../../src/wire/owned-channel.ts';
import { AgentIdentityExchangeClient, exchangeService } from '../../src/wire/services.ts';
import type { ExchangeCall } from '../../src/sidecar/transport/control-server.ts';

export interface EmptyStream {
  /** Connects, opens one stream, ends it, waits for OK and for both ends of the connection to close. */
  once(): Promise<void>;
  stop(): Promise<void>;
}

export async function createEmptyStream(contexts: { client: TlsContext; server: TlsContext }): Promise<EmptyStream> {
  const grpc = new Server(CHANNEL_OPTIONS);
  grpc.addService(exchangeService, {
    Exchange: (call: ExchangeCall) => {
      call.on('data', () => undefined);
      call.on('end', () => call.end());
    },
  });
  const injector = grpc.createConnectionInjector(ServerCredentials.createInsecure());
  const closed: (() => void)[] = [];
  const tls = createServer(
    { ...serverTlsOptions({ context: contexts.server, alpn: ['h2'], requestCert: true }), noDelay: true },
    (socket: TLSSocket) => {
      socket.once('close', () => closed.shift()?.());
      injector.injectConnection(socket);
    },
  );
  await new Promise<void>((resolve) => {
    tls.listen(0, '127.0.0.1', resolve);
  });
  const { port } = tls.address() as AddressInfo;
  const credentials = ChannelCredentials.createFromSecureContext(contexts.client.secureContext, {
    checkServerIdentity: () => undefined,
  });
  return {
    once: async () => {
      const gone = new Promise<void>((resolve) => {
        closed.push(resolve);
      });
      const client = new AgentIdentityExchangeClient(`ipv4:127.0.0.1:${port}`, credentials, {
        ...CHANNEL_OPTIONS,
        'grpc.ssl_target_name_override': 'callee',
      });
      await new Promise<void>((resolve, reject) => {
        const call = client.Exchange();
        call.on('data', () => undefined);
        call.on('error', reject);
        call.on('status', ({ code, details }) => (code === status.OK ? resolve() : reject(new Error(details))));
        call.end();
      });
      client.close();
      await gone;
    },
    stop: async () => {
      grpc.forceShutdown();
      await new Promise<void>((resolve) => {
        tls.close(() => resolve());
      });
    },
  };
}
