import { after, systemClock, type Clock } from '../platform/clock.ts';
import { tunnel, type Tap, type TunnelEnd, type TunnelOutcome } from './tunnel.ts';

/** Silence after which a connection with nothing under way may be closed, milliseconds. */
const QUIET_MS = 250;
/** The same for one whose client has not said anything yet: its first call may be on its way. */
const UNUSED_MS = 2000;

/** Who opened the connection, and who was called. */
export interface FinishingTunnelEnds {
  readonly client: TunnelEnd;
  readonly server: TunnelEnd;
  /** Default: the machine's. */
  readonly clock?: Clock;
  /** Sees what the client says before it goes on. Default: nobody does. */
  readonly guard?: Tap | undefined;
}

/**
 * A tunnel for connections whose calls nobody can see, which can be asked to end in good order: it is closed once it is
 * silent and the last word was the server's. An answer that has not come yet is waited for. How long that may take is the
 * caller's business.
 */
export class FinishingTunnel {
  /** How it ended, when both ends are closed; never rejects. */
  readonly over: Promise<TunnelOutcome>;
  readonly #ends: FinishingTunnelEnds;
  readonly #clock: Clock;
  #lastSpoke: 'client' | 'server' | undefined;
  #used = false;
  #finishing = false;
  #quietSince = 0;
  #cancelLook = (): void => undefined;

  constructor(ends: FinishingTunnelEnds) {
    const { client, server, clock = systemClock, guard } = ends;
    this.#ends = ends;
    this.#clock = clock;
    this.over = tunnel(client, server, {
      fromA: (chunk) => {
        guard?.(chunk);
        this.#fromClient();
      },
      fromB: () => this.#fromServer(),
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

  #fromClient(): void {
    this.#lastSpoke = 'client';
    this.#used = true;
    if (this.#finishing) this.#heard();
  }

  #fromServer(): void {
    this.#lastSpoke = 'server';
    if (this.#finishing) this.#heard();
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
    return this.#lastSpoke !== 'client';
  }

  #close(): void {
    const { client, server } = this.#ends;
    client.stream.end();
    server.stream.end();
  }
}
