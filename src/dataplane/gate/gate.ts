import { rejection as reject, type Rejection } from '../../domain/rejection.ts';
import { FrameReader } from '../http2/frame-reader.ts';
import { CLIENT_PREFACE, ConnectionError, ERROR_CODE, MAX_31_BITS, SETTING } from '../http2/protocol.ts';
import { ClientFrames } from './client-frames.ts';
import { FrameDebt } from './frame-debt.ts';
import { GateCore, type GateOptions } from './gate-core.ts';
import { ServerFrames } from './server-frames.ts';

export type { GateOptions } from './gate-core.ts';

/** CONTINUATION frames of one header block. */
const MAX_CONTINUATIONS = 16;
/** How long either side may take to begin, and to complete a frame that is no DATA, ms. */
const BEGIN_MS = 10_000;
/** Beyond its deadline a call has so long to end by itself, ms. */
const DEADLINE_GRACE_MS = 1000;

interface EndTerms {
  /** Under which the end is on record. Default: a new one. */
  readonly correlationId?: string;
  /** Error codes of the GOAWAY to each side. Default 0, no error. */
  readonly client?: number;
  readonly server?: number;
}

/**
 * Decides every call on one HTTP/2 connection that passes through, without ending HTTP/2: frames are read in both
 * directions, header blocks are decoded, judged and written anew, and everything else goes on as it came. Flow control,
 * deadlines, trailers, cancellation and PING stay between caller and callee.
 *
 * It does no input or output itself: bytes go in by {@link fromClient} and {@link fromServer}; after each of these, and
 * after every other method, what is to be sent stands in `core.toClient` and `core.toServer`.
 */
export class Gate {
  readonly core: GateCore;
  readonly #options: GateOptions;
  readonly #clientFrames: ClientFrames;
  readonly #serverFrames: ServerFrames;
  readonly #clientReader: FrameReader;
  readonly #serverReader: FrameReader;
  readonly #openedAt: number;
  #prefaceBytes = 0;
  /** When the callee was first spoken to; it begins by itself, and at once. */
  #askedAt = Infinity;
  readonly #clientDebt = new FrameDebt();
  readonly #serverDebt = new FrameDebt();
  #over = false;

  constructor(options: GateOptions) {
    this.#options = options;
    this.core = new GateCore(options);
    this.#openedAt = this.core.now;
    this.#clientFrames = new ClientFrames(this.core);
    this.#serverFrames = new ServerFrames(this.core);
    const limits = { maxBlockBytes: options.limits.maxHeaderListBytes, maxContinuations: MAX_CONTINUATIONS };
    this.#clientReader = new FrameReader(this.#clientFrames, limits);
    this.#serverReader = new FrameReader(this.#serverFrames, limits);
    this.#clientFrames.onMaxFrame = (bytes) => widen(this.#serverReader, bytes);
    this.#serverFrames.onMaxFrame = (bytes) => widen(this.#clientReader, bytes);
  }

  /** Nothing more is read or said: what stands in the outputs is the last. */
  get over(): boolean {
    return this.#over;
  }

  get openCalls(): number {
    return this.core.streams.size;
  }

  /** What the caller's side sends; it must not be changed by anybody afterwards. */
  fromClient(chunk: Buffer): void {
    if (this.#over) return;
    const { core } = this;
    core.now = this.#options.clock.monotonic();
    const before = core.highestForwarded;
    try {
      const from = this.#readPreface(chunk);
      if (from < chunk.length) this.#clientReader.read(chunk, from);
      core.settle();
    } catch (error) {
      if (!(error instanceof ConnectionError)) throw error;
      this.#clientFailed(error);
    }
    this.#clientDebt.look(this.#clientReader, core.now);
    if (core.highestForwarded !== before) this.#options.policy.held(this.#options.clock.monotonic() - core.now);
  }

  /** What the callee's side sends; it must not be changed by anybody afterwards. */
  fromServer(chunk: Buffer): void {
    if (this.#over) return;
    const { core } = this;
    core.now = this.#options.clock.monotonic();
    try {
      this.#serverReader.read(chunk);
      core.settle();
    } catch (error) {
      if (!(error instanceof ConnectionError)) throw error;
      this.#serverFailed(error);
    }
    this.#serverDebt.look(this.#serverReader, core.now);
  }

  /** Permissions have changed: every open call is judged again, and cut where it would not be permitted now. */
  reconsider(): void {
    if (this.#over) return;
    this.#at();
    for (const stream of this.core.streams.values()) {
      const decision = this.#options.policy.decide(stream.request, true);
      if (!decision.permitted) this.core.cut(stream, decision.rejection);
    }
  }

  /** What only time changes; to be called about once a second. */
  timePassed(): void {
    if (this.#over) return;
    this.#at();
    const { now } = this.core;
    if (!this.#clientFrames.begun && now - this.#openedAt > BEGIN_MS) {
      const rejection = reject('PREFACE_TIMEOUT', `no HTTP/2 preface and SETTINGS within ${BEGIN_MS} ms`);
      this.#options.policy.violated(rejection);
      this.end(rejection);
    } else if (this.#isSilent()) {
      this.end(reject('APP_UNREACHABLE', `our agent has said nothing of HTTP/2 for ${BEGIN_MS} ms`));
    } else if (now - (this.#clientDebt.since ?? now) > BEGIN_MS) {
      this.#clientFailed(new ConnectionError('ENHANCE_YOUR_CALM', `a frame took more than ${BEGIN_MS} ms to come`));
    } else if (now - (this.#serverDebt.since ?? now) > BEGIN_MS) {
      this.#serverFailed(new ConnectionError('ENHANCE_YOUR_CALM', `a frame took more than ${BEGIN_MS} ms to come`));
    } else this.#lookAtCalls();
  }

  /** An agent that takes connections and never answers on them. Of another sidecar the time to connect is limited elsewhere. */
  #isSilent(): boolean {
    const { direction } = this.#options;
    return direction === 'inbound' && !this.#serverFrames.begun && this.core.now - this.#askedAt > BEGIN_MS;
  }

  #lookAtCalls(): void {
    const { core } = this;
    const { maxDeadlineMs, stallMs } = this.#options.limits;
    for (const stream of core.streams.values()) {
      const openMs = core.now - stream.startedAt;
      if (stream.request.isGrpc && maxDeadlineMs !== undefined && openMs > maxDeadlineMs + DEADLINE_GRACE_MS) {
        core.cut(stream, reject('CALL_DEADLINE_EXCEEDED', `open for more than ${maxDeadlineMs} ms`));
        continue;
      }
      const answerStalls =
        stream.answer !== 'ended' && (stream.responseWindow <= 0 || core.connectionResponseWindow <= 0);
      const requestStalls = !stream.requestEnded && (stream.requestWindow <= 0 || core.connectionRequestWindow <= 0);
      const answerMs = stream.answerStall.look(answerStalls, stream.responseBytes, core.now);
      const requestMs = stream.requestStall.look(requestStalls, stream.requestBytes, core.now);
      if (Math.max(answerMs, requestMs) < stallMs) continue;
      const who = answerMs >= stallMs ? 'caller' : 'callee';
      core.cut(stream, reject('CALL_STALLED', `the ${who} has opened no window for ${stallMs} ms`));
    }
  }

  /** The client is to open no more streams; those it has opened, and those on their way, are worked on. */
  askToLeave(): void {
    if (this.#over || this.core.leaving) return;
    this.core.leaving = true;
    this.core.toClient.goaway(MAX_31_BITS, ERROR_CODE.NO_ERROR);
  }

  /** From now on streams that the client opens are refused: it knows, and may open them elsewhere. */
  acceptNoMore(): void {
    const { core } = this;
    if (this.#over || core.acceptUpTo <= core.highest) return;
    core.acceptUpTo = core.highest;
    core.toClient.goaway(core.highest, ERROR_CODE.NO_ERROR);
  }

  /** Ends every call for this reason, each with its status, and then the connection. */
  end(rejection: Rejection, { correlationId, ...codes }: EndTerms = {}): void {
    if (this.#over) return;
    this.#at();
    const { core } = this;
    if (core.streams.size > 0) {
      // One id for all: they ended for one reason.
      const id = correlationId ?? this.#options.newCorrelationId();
      for (const stream of core.streams.values()) core.cutWithConnection(stream, rejection, id);
    }
    this.#sayGoodbye(codes);
  }

  /** The caller has gone: nobody waits for the answers, or for a goodbye. */
  clientGone(): void {
    if (this.#over) return;
    this.#at();
    const { core } = this;
    // The callee learns of it by the end of the connection, as in `cutWithConnection`.
    for (const stream of core.streams.values()) {
      core.close(stream, { resetCode: ERROR_CODE.CANCEL, cancelled: true });
    }
    this.#leaveServer(ERROR_CODE.NO_ERROR);
  }

  #at(): void {
    this.core.now = this.#options.clock.monotonic();
  }

  #sayGoodbye({ client = 0, server = 0 }: Omit<EndTerms, 'correlationId'> = {}): void {
    const { core } = this;
    if (this.#prefaceBytes === CLIENT_PREFACE.length) {
      core.toClient.goaway(Math.min(core.highest, core.acceptUpTo), client);
    }
    this.#leaveServer(server);
  }

  #leaveServer(code: number): void {
    this.#over = true;
    this.core.settle();
    if (this.#clientFrames.begun) this.core.toServer.goaway(0, code);
  }

  #clientFailed(error: ConnectionError): void {
    const rejection = violation(error, 'the caller');
    this.#options.policy.violated(rejection);
    this.end(rejection, { client: ERROR_CODE[error.code] });
  }

  #serverFailed(error: ConnectionError): void {
    const rejection = violation(error, 'the callee');
    this.#options.policy.violated(rejection);
    this.end(rejection, { server: ERROR_CODE[error.code] });
  }

  /** The client hears from us unless the callee has spoken: it may be refused before the callee says a word. */
  #begin(): void {
    const { maxConcurrent, maxHeaderListBytes } = this.#options.limits;
    this.core.toServer.raw(CLIENT_PREFACE);
    this.#askedAt = this.core.now;
    if (this.core.clientHasSettings) return;
    this.core.clientHasSettings = true;
    this.core.toClient.settings([
      [SETTING.maxConcurrentStreams, maxConcurrent],
      [SETTING.maxHeaderListSize, maxHeaderListBytes],
    ]);
    this.#clientFrames.ownSettings += 1;
  }

  /** @returns where the frames begin in the chunk. */
  #readPreface(chunk: Buffer): number {
    const missing = CLIENT_PREFACE.length - this.#prefaceBytes;
    if (missing === 0) return 0;
    const here = Math.min(missing, chunk.length);
    const expected = CLIENT_PREFACE.subarray(this.#prefaceBytes, this.#prefaceBytes + here);
    if (!chunk.subarray(0, here).equals(expected)) {
      throw new ConnectionError('PROTOCOL_ERROR', 'the connection does not begin as HTTP/2 does');
    }
    this.#prefaceBytes += here;
    if (this.#prefaceBytes === CLIENT_PREFACE.length) this.#begin();
    return here;
  }
}

function widen(reader: FrameReader, bytes: number): void {
  // Never less than before: what was sent before the other side heard of it may still be larger.
  reader.maxFrame = Math.max(reader.maxFrame, bytes);
}

function violation(error: ConnectionError, who: string): Rejection {
  const code = error.code === 'ENHANCE_YOUR_CALM' ? 'HTTP2_FLOOD' : 'HTTP2_PROTOCOL_VIOLATION';
  return reject(code, `${who}: ${error.code}, ${error.message}`);
}
