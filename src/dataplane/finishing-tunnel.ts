import { after, systemClock, type Clock } from '../platform/clock.ts';
import { Http1Answer } from './http1-answer.ts';
import { Http2Drain } from './http2-drain.ts';
import { tunnel, type TunnelEnd, type TunnelOutcome } from './tunnel.ts';

/** Silence after which a connection with nothing under way may be closed, milliseconds. */
const QUIET_MS = 250;
/** The same for one whose client has not said anything yet: its first call may be on its way. */
const UNUSED_MS = 2000;

/**
 * A connection is at least so old before its client is asked to open no more streams. A client that was sent away by one
 * connection tries again on the next, and a gRPC client does so once: not twice in a row.
 */
const SETTLED_MS = 1000;

/** Who opened the connection, and who was called. */
export interface FinishingTunnelEnds {
  readonly client: TunnelEnd;
  readonly server: TunnelEnd;
  /** Default: the machine's. */
  readonly clock?: Clock;
}

/**
 * A tunnel that can be asked to end in good order, which a long-lived connection never does by itself. HTTP/2 clients are
 * told to open no more streams, and the connection is closed when all that are open have ended. Anything else is closed
 * once it is silent and the last word was the server's: an answer that has not come yet is waited for. How long all that
 * may take is the caller's business.
 */
export class FinishingTunnel {
  /** How it ended, when both ends are closed; never rejects. */
  readonly over: Promise<TunnelOutcome>;
  readonly #ends: FinishingTunnelEnds;
  readonly #clock: Clock;
  readonly #http2: Http2Drain;
  readonly #http1 = new Http1Answer();
  #lastSpoke: 'client' | 'server' | undefined;
  #used = false;
  readonly #openedAt: number;
  #finishing = false;
  #asked = false;
  #quietSince = 0;
  #cancelLook = (): void => undefined;

  constructor(ends: FinishingTunnelEnds) {
    const { client, server, clock = systemClock } = ends;
    this.#ends = ends;
    this.#clock = clock;
    this.#openedAt = clock.monotonic();
    this.#http2 = new Http2Drain((frame) => {
      if (client.stream.writable) client.stream.write(frame);
    });
    this.over = tunnel(client, server, {
      fromA: (chunk) => this.#fromClient(chunk),
      fromB: (chunk) => this.#fromServer(chunk),
    });
    void this.over.then(() => this.#cancelLook());
  }

  /** Lets what is under way finish, takes nothing new, then closes both ends. A second call changes nothing. */
  finish(): void {
    if (this.#finishing) return;
    this.#finishing = true;
    this.#heard();
    this.#look();
  }

  #fromClient(chunk: Buffer): undefined {
    this.#http2.fromClient(chunk);
    this.#lastSpoke = 'client';
    this.#used = true;
    if (this.#finishing) this.#heard();
  }

  #fromServer(chunk: Buffer): readonly Buffer[] | undefined {
    const pieces = this.#http2.fromServer(chunk);
    if (!this.#http2.recognised) this.#http1.read(chunk, this.#lastSpoke === 'client');
    this.#lastSpoke = 'server';
    if (this.#finishing) this.#heard();
    return pieces;
  }

  #heard(): void {
    this.#quietSince = this.#clock.monotonic();
  }

  #lookIn(delayMs: number): void {
    this.#cancelLook();
    this.#cancelLook = after({ delayMs, run: () => this.#look(), keepAlive: false, clock: this.#clock });
  }

  #look(): void {
    const now = this.#clock.monotonic();
    const youngMs = this.#openedAt + SETTLED_MS - now;
    if (!this.#asked && this.#used && youngMs <= 0) {
      this.#asked = true;
      this.#http2.begin();
      // What the client sent before it heard us is still to come.
      this.#heard();
    }
    const neededMs = this.#used ? QUIET_MS : UNUSED_MS;
    const leftMs = this.#quietSince + neededMs - now;
    if (leftMs > 0) this.#lookIn(leftMs);
    else if (this.#nothingUnderWay()) this.#close();
    else this.#lookIn(QUIET_MS);
  }

  #nothingUnderWay(): boolean {
    const { client, server } = this.#ends;
    // An end that has had its say will close by itself when it has been answered.
    if (client.stream.readableEnded || server.stream.readableEnded) return false;
    // What has been said but not delivered is under way, too.
    if (client.stream.writableLength > 0 || server.stream.writableLength > 0) return false;
    if (this.#http2.recognised) return this.#asked && this.#http2.idle;
    return this.#lastSpoke !== 'client' && !this.#http1.underWay;
  }

  #close(): void {
    const { client, server } = this.#ends;
    const words = this.#http2.lastWords();
    if (words !== undefined) client.stream.write(words);
    client.stream.end();
    server.stream.end();
  }
}
