import type { Socket } from 'node:net';
import { Channel } from '../../dataplane/http1/channel.ts';
import type { Destination, Found } from '../../dataplane/http1/terms.ts';
import type { Rejection } from '../../domain/rejection.ts';
import type { Clock } from '../../platform/clock.ts';
import { resetSocket } from '../../platform/reset-socket.ts';

/** How long a connection to our agent may wait for the next request, ms, where the agent does not say. */
const IDLE_MS = 1500;
/** So much sooner than it says it is not used any more: it must not close while a request is on its way. */
const MARGIN_MS = 1000;

export interface AppChannelOptions {
  /** Open, and not used yet. */
  readonly first: Socket;
  readonly connect: () => Promise<Socket | Rejection>;
  readonly destination: Omit<Destination, 'channel'>;
  readonly maxHeaderBytes: number;
  readonly clock: Clock;
}

/**
 * The connection to our own agent behind one data connection. Servers close what is idle, and that is no reason to close
 * the data connection: the next request gets another.
 */
export class AppChannel {
  readonly #options: AppChannelOptions;
  #channel: Channel;
  #found: Found;
  #over = false;

  constructor(options: AppChannelOptions) {
    this.#options = options;
    this.#channel = this.#make(options.first);
    this.#found = this.#asFound();
  }

  /** A connection for one request. Never rejects. */
  find(fresh: boolean): Found | Promise<Found> {
    const channel = this.#channel;
    if (!fresh && channel.ready && this.#isYoung(channel)) {
      return this.#found;
    }
    if (channel.ready) channel.close();
    return this.#connect();
  }

  /** Nobody calls any more. */
  end(): void {
    this.#over = true;
    if (this.#channel.ready) this.#channel.close();
    else this.#channel.abandon();
  }

  #isYoung(channel: Channel): boolean {
    const { keepAliveMs } = channel;
    return !channel.used || channel.idleMs < (keepAliveMs === undefined ? IDLE_MS : keepAliveMs - MARGIN_MS);
  }

  async #connect(): Promise<Found> {
    const socket = await this.#options.connect();
    if ('code' in socket) return { ok: false, rejection: socket, correlationId: '' };
    this.#channel = this.#make(socket);
    this.#found = this.#asFound();
    if (this.#over) this.#channel.abandon();
    return this.#found;
  }

  #asFound(): Found {
    return { ok: true, destination: { ...this.#options.destination, channel: this.#channel } };
  }

  #make(socket: Socket): Channel {
    const { maxHeaderBytes, clock } = this.#options;
    const end = { stream: socket, reset: () => resetSocket(socket) };
    return new Channel({ end, fromSidecar: false, maxHeaderBytes, clock, onIdle: () => undefined });
  }
}
