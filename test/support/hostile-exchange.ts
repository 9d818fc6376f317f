import { createHash, randomBytes } from 'node:crypto';
import type { ClientHttp2Stream, ServerHttp2Stream } from 'node:http2';
import type { TLSSocket } from 'node:tls';
import { parseSpiffeId, type SpiffeId } from '../../src/domain/agent-id.ts';
import type { ProofClaims, Role } from '../../src/domain/identity-token.ts';
import { signProof } from '../../src/crypto/proof.ts';
import { sha256Base64Url } from '../../src/crypto/keys.ts';
import { readSvid } from '../../src/crypto/svid.ts';
import type { ExchangeRequest } from '../../src/wire/generated/ait/v1/ExchangeRequest.ts';
import type { ExchangeRequest__Output } from '../../src/wire/generated/ait/v1/ExchangeRequest.ts';
import type { Hello, Hello__Output } from '../../src/wire/generated/ait/v1/Hello.ts';
import { exchangeService } from '../../src/wire/services.ts';
import type { Identity } from './forgery.ts';

export type Message = ExchangeRequest;
export type Received = ExchangeRequest__Output;

/** Shared by both roles: requests and responses are the same messages. */
const { requestSerialize, requestDeserialize } = exchangeService.Exchange;

/** A gRPC message behind its five bytes. */
export function grpcFrame(message: Uint8Array, { compressed = 0, length = message.length } = {}): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(compressed, 0);
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, message]);
}

/**
 * One Exchange stream in the hands of an attacker: a real HTTP/2 stream on which any message can be said at any time,
 * and any byte. Where nothing else is asked for it says what an honest sidecar would.
 */
export class HostileExchange {
  readonly role: Role;
  readonly identity: Identity;
  readonly stream: ClientHttp2Stream | ServerHttp2Stream;
  readonly socket: TLSSocket;
  /** Their certificate; to be read before HTTP/2 takes the socket over. */
  readonly peerDer: Buffer;
  readonly correlationId: string;
  readonly nonce = randomBytes(32);
  /** Settles when the stream is over. */
  readonly closed: Promise<void>;
  readonly received: Received[] = [];
  theirs: Hello__Output | undefined;
  #read = 0;
  #bytes = Buffer.alloc(0);
  #wake = (): void => undefined;
  #over = false;
  #seq = 0;

  constructor(input: {
    role: Role;
    identity: Identity;
    stream: ClientHttp2Stream | ServerHttp2Stream;
    socket: TLSSocket;
    peerDer: Buffer;
    correlationId?: string;
  }) {
    this.role = input.role;
    this.identity = input.identity;
    this.stream = input.stream;
    this.socket = input.socket;
    this.peerDer = input.peerDer;
    this.correlationId = input.correlationId ?? randomBytes(9).toString('base64url');
    this.stream.on('error', () => undefined);
    this.stream.on('data', (chunk: Buffer) => this.#take(chunk));
    this.closed = new Promise((resolve) => {
      const finish = () => {
        this.#over = true;
        this.#wake();
        resolve();
      };
      this.stream.once('end', finish);
      this.stream.once('close', finish);
      this.socket.once('close', finish);
    });
  }

  send(message: Message): void {
    this.sendRaw(grpcFrame(requestSerialize(message)));
  }

  sendRaw(bytes: Uint8Array): void {
    if (!this.stream.destroyed && this.stream.writable) this.stream.write(bytes);
  }

  /** The next message, `undefined` once the stream is over. */
  async next(deadlineMs = 8_000): Promise<Received | undefined> {
    const timer = setTimeout(() => {
      this.#over = true;
      this.#wake();
    }, deadlineMs);
    while (this.received.length <= this.#read && !this.#over)
      await new Promise<void>((resolve) => (this.#wake = resolve));
    clearTimeout(timer);
    return this.received[this.#read++];
  }

  /** Reads on until a message of this kind. @throws Error at the end of the stream */
  async expect<K extends 'hello' | 'proof' | 'accept' | 'reject' | 'goodbye' | 'heartbeat'>(
    kind: K,
  ): Promise<NonNullable<Received[K]>> {
    for (;;) {
      const message = await this.next();
      if (message === undefined)
        throw new Error(`the stream ended before ${kind}; got ${this.received.map((m) => m.message).join(', ')}`);
      if (kind !== message.message) continue;
      return message[kind] as NonNullable<Received[K]>;
    }
  }

  hello(overrides: Partial<Hello> = {}): void {
    const { identity, nonce, correlationId } = this;
    const { ait, instanceId } = identity;
    this.send({
      hello: { versions: [1], ait, nonce, instanceId, dataAddress: '127.0.0.1:1', correlationId, ...overrides },
    });
  }

  /** What an honest proof would say now; call it after their Hello. */
  proofClaims(overrides: Partial<ProofClaims> = {}): ProofClaims {
    const [mine, theirs] = [this.nonce, this.theirs?.nonce ?? Buffer.alloc(32)].map((bytes) =>
      bytes.toString('base64url'),
    );
    const [own, other] = [this.identity.thumbprint, sha256Base64Url(this.peerDer)];
    const pair = <T>(ours: T, peers: T) =>
      this.role === 'dialler' ? { dialler: ours, acceptor: peers } : { dialler: peers, acceptor: ours };
    return {
      aud: this.peer,
      iat: Math.floor(Date.now() / 1000),
      role: this.role,
      seq: this.#seq,
      nonce: pair(mine ?? '', theirs ?? ''),
      x5t: pair(own, other),
      ath: sha256Base64Url(this.identity.ait),
      measurement: this.identity.measurement,
      ...overrides,
    };
  }

  signedProof(overrides: Partial<ProofClaims> = {}): string {
    const jws = signProof({ claims: this.proofClaims(overrides), key: this.identity.keyPair.privateKey });
    this.#seq += 1;
    return jws;
  }

  prove(overrides: Partial<ProofClaims> = {}): void {
    this.send({ proof: { jws: this.signedProof(overrides) } });
  }

  heartbeat(overrides: Partial<ProofClaims> = {}): void {
    this.send({ heartbeat: { jws: this.signedProof(overrides) } });
  }

  accept(): void {
    this.send({ accept: {} });
  }

  /** Hexadecimal; known once their Hello has come. */
  get sessionId(): string {
    const theirs = this.theirs?.nonce ?? Buffer.alloc(32);
    const [dialler, acceptor] = this.role === 'dialler' ? [this.nonce, theirs] : [theirs, this.nonce];
    return createHash('sha256').update('ait-session-1').update(dialler).update(acceptor).digest('hex').slice(0, 32);
  }

  get peer(): SpiffeId {
    return this.peerDer.length === 0
      ? parseSpiffeId('spiffe://acme.example/agent/nobody')
      : readSvid(this.peerDer).spiffeId;
  }

  /** Ends the connection without a word. */
  destroy(): void {
    // HTTP/2 owns the socket by now: destroying that alone would not close it.
    this.stream.session?.destroy();
    this.socket.destroy();
  }

  #take(chunk: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    while (this.#bytes.length >= 5) {
      const length = this.#bytes.readUInt32BE(1);
      if (this.#bytes.length < 5 + length) return;
      const message = requestDeserialize(this.#bytes.subarray(5, 5 + length));
      this.received.push(message);
      this.theirs ??= message.hello ?? undefined;
      this.#bytes = this.#bytes.subarray(5 + length);
      this.#wake();
    }
  }
}
