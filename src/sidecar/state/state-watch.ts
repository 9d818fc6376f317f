import type { ClientReadableStream } from '@grpc/grpc-js';
import type { SpiffeId } from '../../domain/agent-id.ts';
import { rejection, type Rejection } from '../../domain/rejection.ts';
import { after } from '../../platform/clock.ts';
import type { Logger } from '../../platform/logger.ts';
import { Backoff, type RandomSource } from '../../platform/random.ts';
import type { WatchResponse__Output } from '../../wire/generated/ait/v1/WatchResponse.ts';
import { StateClient } from '../../wire/services.ts';
import { AuthorityError, type AuthorityChannel } from '../../membership/authority-channel.ts';
import type { StateReceiver } from './state-receiver.ts';

export interface StateWatchDeps {
  readonly logger: Logger;
  readonly random: RandomSource;
  readonly receiver: StateReceiver;
  readonly channel: () => AuthorityChannel;
  /** Whom our agent is configured to call. */
  readonly wantedPeers: () => readonly SpiffeId[];
  /**
   * The authority says that we are revoked; `undefined`: it gives us state. It is told no other way: whoever is revoked
   * gets no state any more, and so not the one that says so.
   */
  readonly onRevoked: (cause: Rejection | undefined) => void;
}

const RETRY = { minMs: 200, maxMs: 10_000 } as const;

/** Keeps the Watch stream open, for as long as the process lives; a broken one is opened again, with jitter. */
export class StateWatch {
  readonly #deps: StateWatchDeps;
  readonly #backoff: Backoff;
  #call: ClientReadableStream<WatchResponse__Output> | undefined;
  /** Ends the stream that is open, with its connection. */
  #release: (() => void) | undefined;
  #cancelRetry: (() => void) | undefined;
  #stopped = false;

  constructor(deps: StateWatchDeps) {
    this.#deps = deps;
    this.#backoff = new Backoff({ ...RETRY, random: deps.random });
  }

  start(): void {
    this.#open();
  }

  /** A new certificate is in use: the stream moves to the connection that shows it, at once. */
  reopen(): void {
    if (this.#stopped) return;
    this.#cancelRetry?.();
    const release = this.#release;
    this.#open();
    release?.();
  }

  stop(): void {
    this.#stopped = true;
    this.#cancelRetry?.();
    this.#call?.cancel();
  }

  #open(): void {
    const { receiver, channel, logger, onRevoked } = this.#deps;
    const head = receiver.state?.head;
    const opened = channel();
    const call = opened.client(StateClient).Watch({
      epoch: head?.epoch ?? 0,
      revision: head?.revision ?? 0,
      wantedPeers: [...this.#deps.wantedPeers()],
    });
    this.#call = call;
    this.#release = () => {
      call.cancel();
      if (channel() !== opened) opened.close();
    };
    call.on('data', ({ head: jws, objects, trustBundle }: WatchResponse__Output) => {
      if (this.#call !== call) return;
      if (!receiver.receive({ head: jws, objects, trustBundle })) return;
      this.#backoff.reset();
      onRevoked(undefined);
    });
    let over = false;
    const retry = (error?: unknown) => {
      if (over) return;
      over = true;
      // Another has taken its place: that this one ended is no news.
      if (this.#call !== call) return;
      this.#call = undefined;
      this.#release = undefined;
      if (this.#stopped) return;
      const delayMs = this.#backoff.next();
      if (error !== undefined) {
        opened.close();
        const failure = opened.explain(error as never);
        logger.warn('state_watch_broken', { error: failure.message, retryMs: Math.round(delayMs) });
        if (failure instanceof AuthorityError && failure.reason === 'REVOKED') {
          onRevoked(rejection('REVOKED', failure.message, { self: true }));
        }
      }
      this.#cancelRetry = after({ delayMs, run: () => this.#open(), keepAlive: false });
    };
    call.on('error', retry);
    call.on('end', () => retry());
  }
}
