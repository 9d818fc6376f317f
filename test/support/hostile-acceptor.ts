import { once } from 'node:events';
import { performServerHandshake, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { createServer, type TLSSocket, type TlsOptions } from 'node:tls';
import { dataAnswerCodec } from '../../src/wire/services.ts';
import { privateKeyToPem } from '../../src/crypto/keys.ts';
import { framePreface } from '../../src/sidecar/data/preface.ts';
import type { Identity } from './forgery.ts';
import { HostileExchange } from './hostile-exchange.ts';

export interface AcceptorScript {
  /** Who it says it is. Asked at each connection. */
  readonly identity: () => Identity;
  /** What it does on a control connection; default: what an honest sidecar does. */
  readonly onExchange?: (exchange: HostileExchange) => Promise<void> | void;
  /** What it does on a data connection; default: accepts it and keeps what comes. */
  readonly onData?: (socket: TLSSocket) => void;
  /** Takes the TCP connection instead: no TLS at all. */
  readonly onRaw?: (socket: Socket) => void;
  /** Looks at a connection after the handshake. */
  readonly onSecure?: (socket: TLSSocket) => void;
  readonly tls?: TlsOptions;
}

/** A peer that real sidecars dial, in the hands of an attacker. */
export class HostileAcceptor {
  /** May be replaced at any time; counts from the next connection on. */
  script: AcceptorScript;
  readonly #sockets = new Set<Socket>();
  address = '';
  /** Every exchange so far. */
  readonly exchanges: HostileExchange[] = [];
  readonly dataSockets: TLSSocket[] = [];
  /** How many TCP connections came. */
  connections = 0;

  constructor(script: AcceptorScript) {
    this.script = script;
  }

  /** Listens on a port that the system chose, until the test is over. */
  async start(t: TestContext): Promise<this> {
    const { onRaw } = this.script;
    const server = createServer({
      ALPNProtocols: ['h2', 'ait-data/1'],
      minVersion: 'TLSv1.3',
      requestCert: true,
      rejectUnauthorized: false,
      ...this.script.tls,
    });
    server.on('connection', (raw: Socket) => {
      this.connections += 1;
      this.#sockets.add(raw);
      raw.on('error', () => undefined);
      raw.once('close', () => this.#sockets.delete(raw));
    });
    if (onRaw !== undefined) {
      server.removeAllListeners('connection');
      server.on('connection', (raw: Socket) => {
        this.connections += 1;
        this.#sockets.add(raw);
        raw.on('error', () => undefined);
        onRaw(raw);
      });
    } else {
      // A fresh certificate for each connection, as the script says.
      server.prependListener('connection', () => server.setSecureContext(this.#material()));
    }
    server.on('tlsClientError', () => undefined);
    server.on('secureConnection', (socket) => this.#secured(socket));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    this.address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    t.after(async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of this.#sockets) socket.destroy();
      await closed;
    });
    return this;
  }

  #material() {
    const { certPem, keyPair } = this.script.identity();
    return { ...this.script.tls, cert: certPem, key: privateKeyToPem(keyPair.privateKey) };
  }

  #secured(socket: TLSSocket): void {
    socket.on('error', () => undefined);
    this.script.onSecure?.(socket);
    if (socket.alpnProtocol === 'ait-data/1') {
      this.dataSockets.push(socket);
      const { onData = acceptData } = this.script;
      onData(socket);
      return;
    }
    const identity = this.script.identity();
    const peerDer = socket.getPeerX509Certificate()?.raw ?? Buffer.alloc(0);
    const session = performServerHandshake(socket);
    session.on('error', () => undefined);
    session.on('stream', (stream: ServerHttp2Stream) => {
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
      const exchange = new HostileExchange({ role: 'acceptor', identity, stream, socket, peerDer });
      this.exchanges.push(exchange);
      const { onExchange = acceptHonestly } = this.script;
      void Promise.resolve(onExchange(exchange)).catch(() => exchange.destroy());
    });
  }
}

/** The acceptor's side of an exchange as it should be. */
export async function acceptHonestly(exchange: HostileExchange): Promise<void> {
  const { correlationId } = await exchange.expect('hello');
  exchange.hello({ correlationId, dataAddress: `${exchange.socket.localAddress}:${exchange.socket.localPort}` });
  exchange.prove();
  await exchange.expect('accept');
  exchange.accept();
}

/** Accepts the data connection, and echoes what follows. */
export function acceptData(socket: TLSSocket): void {
  socket.once('data', () => {
    socket.write(framePreface(dataAnswerCodec.encode({ accepted: {} })));
    socket.on('data', (chunk: Buffer) => socket.write(chunk));
  });
}
