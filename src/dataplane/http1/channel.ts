import { after, type Clock } from '../../platform/clock.ts';
import type { Rejection } from '../../domain/rejection.ts';
import type { TunnelEnd, TunnelOutcome } from '../tunnel.ts';
import { AnswerReader, type AnswerSink } from './answer-reader.ts';

/** One exchange, as the connection to its callee sees it. */
export interface ChannelUser extends AnswerSink {
  /** All that came at once has been told. */
  pause(): void;
  /** The callee takes more of the request. */
  drained(): void;
  /** Nothing more comes. @param problem what the callee did wrong, in one line. Default: it closed, or was lost */
  broke(problem?: string): void;
  /** Permissions have changed. */
  reconsider(): void;
  /** @param correlationId under which its end is on record */
  cut(rejection: Rejection, correlationId: string): void;
}

export interface ChannelOptions {
  /** The callee's end. It must allow half-open connections, and nothing of it has been read. */
  readonly end: TunnelEnd;
  /** Whether another sidecar is on the other end, and not our own agent. */
  readonly fromSidecar: boolean;
  readonly maxHeaderBytes: number;
  readonly clock: Clock;
  /** It waits for the next request. */
  readonly onIdle: (channel: Channel) => void;
}

/** One that was asked to close gets so long, ms. */
const LINGER_MS = 5000;

/**
 * One connection to a callee, on which requests go one after the other. It is used again only after an answer that came
 * whole, to a request that was sent whole, with nothing behind it: a byte that answers nothing ends it.
 */
export class Channel {
  /** How it ended, when it is closed; never rejects. */
  readonly over: Promise<TunnelOutcome>;
  readonly #options: ChannelOptions;
  readonly #reader: AnswerReader;
  #user: ChannelUser | undefined;
  #uses = 0;
  #idleSince: number;
  #keepAliveMs: number | undefined;
  #isReading = false;
  #released = false;
  #failed = false;
  #closing = false;
  #finishing = false;
  #cancelLinger = (): void => undefined;

  constructor(options: ChannelOptions) {
    this.#options = options;
    this.#reader = new AnswerReader(options.maxHeaderBytes);
    this.#idleSince = options.clock.monotonic();
    const { stream } = options.end;
    this.over = new Promise((resolve) => {
      stream.once('close', () => {
        this.#cancelLinger();
        if (!stream.readableEnded || !stream.writableFinished) this.#failed = true;
        this.#closing = true;
        this.#broke();
        resolve(this.#failed ? 'reset' : 'finished');
      });
    });
    stream.on('data', (chunk: Buffer) => this.#read(chunk));
    stream.on('drain', () => this.#user?.drained());
    stream.on('error', () => (this.#failed = true));
    stream.once('end', () => this.#ended());
    stream.resume();
  }

  /** The exchange that has it, if one does. */
  get user(): ChannelUser | undefined {
    return this.#user;
  }

  /** How many requests it has been taken for. */
  get uses(): number {
    return this.#uses;
  }

  /** Whether a request has been sent on it before. */
  get used(): boolean {
    return this.#uses > 0;
  }

  /** Whether a request can be sent now. */
  get ready(): boolean {
    return this.#user === undefined && !this.#closing && !this.#options.end.stream.destroyed;
  }

  /** How long it has been waiting for work, ms. */
  get idleMs(): number {
    return this.#options.clock.monotonic() - this.#idleSince;
  }

  /** How long the callee keeps it open, ms, as far as it said so with its last answer. */
  get keepAliveMs(): number | undefined {
    return this.#keepAliveMs;
  }

  /** Whether the callee takes nothing at the moment. */
  get stalled(): boolean {
    return this.#options.end.stream.writableNeedDrain;
  }

  /** Takes it for one exchange; {@link release} or {@link abandon} must follow. */
  begin(method: string, user: ChannelUser): void {
    this.#uses += 1;
    this.#user = user;
    this.#reader.expect({ method, fromSidecar: this.#options.fromSidecar }, user);
  }

  /** @returns false where the callee should be waited for: {@link ChannelUser.drained} */
  write(bytes: Buffer | string): boolean {
    const { stream } = this.#options.end;
    return typeof bytes === 'string' ? stream.write(bytes, 'latin1') : stream.write(bytes);
  }

  /** Reads of the callee no faster than the caller takes it. */
  mayRead(may: boolean): void {
    if (may) this.#options.end.stream.resume();
    else this.#options.end.stream.pause();
  }

  /** The exchange is over, and nothing of it is left. @param keepsAlive whether the callee takes another on it */
  release({
    keepsAlive,
    keepAliveMs,
  }: {
    readonly keepsAlive: boolean;
    readonly keepAliveMs?: number | undefined;
  }): void {
    this.#keepAliveMs = keepAliveMs;
    if (!keepsAlive || this.#finishing) this.#closing = true;
    this.#released = true;
    if (!this.#isReading) this.#afterUse();
  }

  /** Gives back one that was not used after all. */
  giveBack(): void {
    this.#idle();
  }

  /** Permissions have changed. */
  reconsider(): void {
    this.#user?.reconsider();
  }

  /** Ends the exchange that has it for this reason, and the connection. */
  cut(rejection: Rejection, { correlationId }: { readonly correlationId: string }): void {
    if (this.#user === undefined) this.abandon();
    else this.#user.cut(rejection, correlationId);
  }

  /** Ends it at once: what was under way on it is nobody's any more. */
  abandon(): void {
    this.#user = undefined;
    this.#closing = this.#failed = true;
    this.#options.end.reset();
  }

  /** No more requests than the one that has it, or is about to; then it closes. */
  finish(): void {
    this.#finishing = true;
    if (this.#user === undefined && this.used) this.close();
  }

  /** Closes one that is idle. */
  close(): void {
    this.#closing = true;
    const { end } = this.#options;
    end.stream.end();
    this.#cancelLinger();
    this.#cancelLinger = after({ delayMs: LINGER_MS, run: () => end.reset(), keepAlive: false });
  }

  #read(chunk: Buffer): void {
    this.#isReading = true;
    const problem = this.#reader.read(chunk);
    this.#isReading = false;
    if (problem !== undefined) {
      const user = this.#user;
      this.abandon();
      // An answer that is whole has been told already; what follows it is this connection's end, not that of a call.
      if (!this.#released) user?.broke(problem);
    } else if (this.#released) this.#afterUse();
    else this.#user?.pause();
  }

  #afterUse(): void {
    this.#released = false;
    this.#user = undefined;
    this.#idle();
  }

  #idle(): void {
    this.#idleSince = this.#options.clock.monotonic();
    if (this.#closing || this.#finishing) this.close();
    else this.#options.onIdle(this);
  }

  #ended(): void {
    this.#closing = true;
    this.#isReading = true;
    const isProper = this.#reader.closed();
    this.#isReading = false;
    if (!isProper) {
      this.#broke();
      return;
    }
    this.#released = false;
    this.#user = undefined;
    this.close();
  }

  #broke(): void {
    const user = this.#user;
    if (user === undefined) return;
    this.abandon();
    user.broke();
  }
}
