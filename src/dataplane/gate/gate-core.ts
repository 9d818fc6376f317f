import { rejection as reject, type Rejection } from '../../domain/rejection.ts';
import type { Clock } from '../../platform/clock.ts';
import { encodeFields } from '../hpack/encoder.ts';
import { HpackDecoder } from '../hpack/decoder.ts';
import type { HeaderBlock, TooLargeBlock } from '../hpack/header-block.ts';
import { HpackError } from '../hpack/hpack-error.ts';
import type { HeaderField } from '../hpack/header-field.ts';
import { FrameOutput } from '../http2/frame-output.ts';
import { ConnectionError, DEFAULT_WINDOW, ERROR_CODE, MAX_31_BITS } from '../http2/protocol.ts';
import type { CallPolicy, CallRequest } from './call.ts';
import { CallStream, type CallEnd } from './call-stream.ts';
import { ClosedStreams } from './closed-streams.ts';
import { FloodGuard } from './flood-guard.ts';
import { decodeTraced, type TracedBlock } from './traced-block.ts';
import { grpcRefusal, httpRefusal, refusalStatus, type Audience } from './refusal.ts';

export interface GateLimits {
  /** Calls that may be open at once on one connection. */
  readonly maxConcurrent: number;
  /** Header list of one message, counted as in RFC 9113, section 6.5.2; bytes. */
  readonly maxHeaderListBytes: number;
  /** Longest that a gRPC call may take, ms; `undefined`: as long as its caller says. */
  readonly maxDeadlineMs: number | undefined;
  /** How long a call may wait for a reader that opens no window, ms. */
  readonly stallMs: number;
}

export interface GateOptions {
  readonly policy: CallPolicy;
  /**
   * Which way the calls go: `outbound`, our own agent is the caller, and another sidecar answers; `inbound`, another
   * sidecar brings a peer's calls to our own agent.
   */
  readonly direction: 'inbound' | 'outbound';
  readonly limits: GateLimits;
  readonly clock: Clock;
  /** The `traceparent` of a trace that begins here. */
  readonly newTraceparent: () => string;
  readonly newCorrelationId: () => string;
  /** Why calls end when the callee closes the connection under them. */
  readonly calleeGone: () => Rejection;
  /** Fields that tell the callee who calls; asked for each call, and the same list as long as nothing changed. */
  readonly identity: () => readonly HeaderField[];
}

/** What a block begins with after SETTINGS that may have made the reader's table smaller (RFC 7541, section 4.2). */
const EMPTY_TABLE = Buffer.from([0x20]);

/**
 * What both directions of a gate share: the calls that are open, what goes out to either side, the windows, and every way
 * in which a call ends. It reads nothing itself.
 */
export class GateCore {
  readonly options: GateOptions;
  readonly streams = new Map<number, CallStream>();
  readonly closed = new ClosedStreams();
  readonly toClient = new FrameOutput();
  readonly toServer = new FrameOutput();
  readonly clientFlood: FloodGuard;
  readonly serverFlood: FloodGuard;
  readonly clientBlocks: HpackDecoder;
  readonly serverBlocks: HpackDecoder;
  /** Monotonic, ms: when the chunk at hand arrived. */
  now: number;

  /** The highest stream that the client has opened, and the highest that the callee has heard of. */
  highest = 0;
  highestForwarded = 0;
  /** Streams above this are told to try elsewhere. */
  acceptUpTo = MAX_31_BITS;
  /** The callee has said that it goes away, or we have. */
  leaving = false;

  /** Of new streams: what the callee, and the caller, grant for the start. */
  requestWindow = DEFAULT_WINDOW;
  responseWindow = DEFAULT_WINDOW;
  /** Of the connection: what the callee may still send, and what the caller may. */
  connectionResponseWindow = DEFAULT_WINDOW;
  connectionRequestWindow = DEFAULT_WINDOW;
  /** What each sender is owed for DATA that we swallowed. */
  #owedToClient = 0;
  #owedToServer = 0;

  /** SETTINGS of the other side that each one has still to acknowledge. */
  readonly acksDue = { client: 0, server: 0 };
  /** The same of PING. */
  readonly pongsDue = { client: 0, server: 0 };

  /** Whether the client has been sent SETTINGS, ours or the callee's: nothing else may come first. */
  clientHasSettings = false;

  /** Whether the next block in a direction has to begin with {@link EMPTY_TABLE}. */
  clientTableNews = true;
  serverTableNews = true;
  #identityFields: readonly HeaderField[] | undefined;
  #identityBlock: Buffer = Buffer.alloc(0);

  constructor(options: GateOptions) {
    this.options = options;
    const { maxHeaderListBytes: maxListBytes } = options.limits;
    this.clientBlocks = new HpackDecoder({ maxListBytes });
    this.serverBlocks = new HpackDecoder({ maxListBytes });
    this.now = options.clock.monotonic();
    const clock = { now: () => options.clock.now(), monotonic: () => this.now };
    this.clientFlood = new FloodGuard(clock);
    this.serverFlood = new FloodGuard(clock);
  }

  get audience(): Audience {
    return this.options.direction === 'outbound' ? 'own agent' : 'peer';
  }

  /**
   * Decodes a block of the callee's side.
   *
   * @throws ConnectionError where the block, and with it all that would follow, cannot be read.
   */
  decodeAnswer(block: Buffer): HeaderBlock | TooLargeBlock {
    try {
      return this.serverBlocks.decode(block);
    } catch (error) {
      throw asConnectionError(error);
    }
  }

  /** As {@link decodeAnswer}, of a block of the caller's side. */
  decodeRequest(block: Buffer): TracedBlock {
    try {
      // An agent's own blocks end as they like.
      if (this.options.direction === 'inbound') return decodeTraced(this.clientBlocks, block);
      return { block: this.clientBlocks.decode(block), traceparent: undefined };
    } catch (error) {
      throw asConnectionError(error);
    }
  }

  /** @param parts pieces of one block for the callee */
  headersToServer(streamId: number, parts: readonly Buffer[], endStream: boolean): void {
    this.toServer.headers(streamId, this.serverTableNews ? [EMPTY_TABLE, ...parts] : parts, endStream);
    this.serverTableNews = false;
  }

  headersToClient(streamId: number, block: Buffer, endStream: boolean): void {
    this.toClient.headers(streamId, this.clientTableNews ? [EMPTY_TABLE, block] : [block], endStream);
    this.clientTableNews = false;
  }

  /** The fields that say who calls, as a block; empty where nobody is to be told. */
  identityBlock(): Buffer {
    const fields = this.options.identity();
    if (fields !== this.#identityFields) {
      this.#identityFields = fields;
      this.#identityBlock = encodeFields(fields);
    }
    return this.#identityBlock;
  }

  /**
   * One side acknowledges SETTINGS of the other. A block that the other got meanwhile may have been too early to tell it
   * about its table: some decoders want to hear of it after the acknowledgement.
   */
  acknowledge(from: 'client' | 'server'): void {
    if (this.acksDue[from] === 0) throw new ConnectionError('PROTOCOL_ERROR', 'an acknowledgement of no SETTINGS');
    this.acksDue[from] -= 1;
    if (from === 'client') {
      this.serverTableNews = true;
      this.toServer.settingsAck();
    } else {
      this.clientTableNews = true;
      this.toClient.settingsAck();
    }
  }

  /** One that was asked for costs nothing: the other side has paid. One that was not is nobody's answer, and goes no further. */
  ping(from: 'client' | 'server', payload: Buffer, ack: boolean): void {
    const [flood, to] = from === 'client' ? [this.clientFlood, this.toServer] : [this.serverFlood, this.toClient];
    if (!ack) {
      flood.spendPing();
      this.pongsDue[from === 'client' ? 'server' : 'client'] += 1;
    } else if (this.pongsDue[from] > 0) this.pongsDue[from] -= 1;
    else {
      flood.spend('ping');
      return;
    }
    to.ping(payload, ack);
  }

  /** The caller grants another start window for answers; open streams change by the difference (RFC 9113, section 6.9.2). */
  changeResponseWindow(initial: number | undefined): void {
    if (initial === undefined) return;
    for (const stream of this.streams.values()) {
      stream.responseWindow = changedWindow(stream.responseWindow, initial - this.responseWindow);
    }
    this.responseWindow = initial;
  }

  /** The same of the callee, for requests. */
  changeRequestWindow(initial: number | undefined): void {
    if (initial === undefined) return;
    for (const stream of this.streams.values()) {
      stream.requestWindow = changedWindow(stream.requestWindow, initial - this.requestWindow);
    }
    this.requestWindow = initial;
  }

  /** The sender gets back what DATA that we swallowed has taken from the connection's window. */
  giveBack(to: 'client' | 'server', octets: number): void {
    if (to === 'client') this.#owedToClient += octets;
    else this.#owedToServer += octets;
  }

  /** To be called before the output is taken: one update for all that was swallowed. */
  settle(): void {
    if (this.#owedToClient > 0) this.toClient.windowUpdate(0, this.#owedToClient);
    if (this.#owedToServer > 0) this.toServer.windowUpdate(0, this.#owedToServer);
    this.#owedToClient = this.#owedToServer = 0;
  }

  /** A call that the callee never hears of. */
  refuse(
    { streamId, request, label }: { streamId: number; request: CallRequest; label: string },
    rejection: Rejection,
    requestEnded: boolean,
  ): void {
    const stream = new CallStream({
      streamId,
      request,
      label,
      traceparent: '',
      startedAt: this.now,
      requestWindow: 0,
      responseWindow: 0,
    });
    stream.requestEnded = requestEnded;
    this.closed.add(streamId);
    this.#answer(stream, rejection, this.options.newCorrelationId());
  }

  /** Ends an open call on both sides; for the caller with a status that says why. */
  cut(stream: CallStream, rejection: Rejection): void {
    this.toServer.rstStream(stream.streamId, ERROR_CODE.CANCEL);
    this.cutWithConnection(stream, rejection, this.options.newCorrelationId());
  }

  /**
   * Ends an open call because its connection ends. The callee learns of it by that end: a reset of the stream right before
   * it says nothing more, and has HTTP/2 servers of Node 20.20 spin for ever.
   */
  cutWithConnection(stream: CallStream, rejection: Rejection, correlationId: string): void {
    this.streams.delete(stream.streamId);
    this.closed.add(stream.streamId);
    if (stream.answer === 'ended') {
      this.toClient.rstStream(stream.streamId, ERROR_CODE.CANCEL);
      this.#told(stream, { rejection, correlationId, resetCode: ERROR_CODE.CANCEL });
    } else this.#answer(stream, rejection, correlationId);
  }

  #answer(stream: CallStream, rejection: Rejection, correlationId: string): void {
    const { streamId, request, answer } = stream;
    const { audience } = this;
    const status = refusalStatus(rejection);
    // Trailers would be malformed where the head has promised more DATA.
    const mayEnd = request.isGrpc && (stream.responseLeft ?? 0) === 0;
    if (answer === 'none' || mayEnd) {
      const terms = { rejection, correlationId, audience };
      const block = request.isGrpc ? grpcRefusal(terms, answer === 'head') : httpRefusal(terms);
      this.headersToClient(streamId, block, true);
      if (!stream.requestEnded) this.toClient.rstStream(streamId, ERROR_CODE.NO_ERROR);
      if (request.isGrpc) stream.grpcStatus = status.grpc;
      if (answer === 'none') stream.httpStatus = request.isGrpc ? 200 : status.http;
      this.#told(stream, { rejection, correlationId });
    } else {
      // The head has promised an answer that does not come.
      this.toClient.rstStream(streamId, ERROR_CODE.CANCEL);
      this.#told(stream, { rejection, correlationId, resetCode: ERROR_CODE.CANCEL });
    }
  }

  /** A call is over; what is still under way of it is borne. */
  close(stream: CallStream, end: Omit<CallEnd, 'now'> = {}): void {
    this.streams.delete(stream.streamId);
    if (!stream.requestEnded || stream.answer !== 'ended') this.closed.add(stream.streamId);
    this.#told(stream, end);
  }

  /** Both sides have said all: that is the end of the call. */
  closeIfOver(stream: CallStream): void {
    if (stream.requestEnded && stream.answer === 'ended') this.close(stream);
  }

  #told(stream: CallStream, end: Omit<CallEnd, 'now'>): void {
    this.options.policy.ended(stream, stream.outcome({ ...end, now: this.now }));
  }

  /** One side broke the rules with this stream alone (RFC 9113, section 5.4.2). */
  resetBoth(stream: CallStream, code: number, rejection: Rejection): void {
    this.toClient.rstStream(stream.streamId, code);
    this.toServer.rstStream(stream.streamId, code);
    this.close(stream, { resetCode: code, rejection, correlationId: this.options.newCorrelationId() });
  }

  /** @param which what is wrong with a message of one call */
  malformed(which: string): Rejection {
    return reject('CALL_MALFORMED', which);
  }
}

function asConnectionError(error: unknown): unknown {
  return error instanceof HpackError ? new ConnectionError('COMPRESSION_ERROR', error.message) : error;
}

/** @throws ConnectionError where it is larger than a window can be (RFC 9113, section 6.9.2) */
function changedWindow(window: number, by: number): number {
  if (window + by <= MAX_31_BITS) return window + by;
  throw new ConnectionError('FLOW_CONTROL_ERROR', 'SETTINGS make the window of a stream overflow');
}
