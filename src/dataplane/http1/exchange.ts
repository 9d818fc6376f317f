import type { IncomingMessage, ServerResponse } from 'node:http';
import { rejection as reject, type Rejection } from '../../domain/rejection.ts';
import { after } from '../../platform/clock.ts';
import type { Call, CallOutcome } from '../gate/call.ts';
import { Stall } from '../gate/stall.ts';
import { ERROR_CODE } from '../http2/protocol.ts';
import type { AnswerHead } from './answer-head.ts';
import type { ExchangeWatch } from './body-watch.ts';
import type { ChannelUser } from './channel.ts';
import { Download } from './download.ts';
import type { FlatFields } from './header-lines.ts';
import { problemAnswer } from './problem-answer.ts';
import type { Http1Request } from './request-reading.ts';
import { requestHead } from './request-head.ts';
import type { Destination, FindTerms, Found, Http1Terms } from './terms.ts';
import { Upload, type UploadOwner } from './upload.ts';

/** The peer resets its connections before it says why: so long may its word take to arrive, ms. */
const REASON_MS = 100;
/** What may be sent a second time where nobody knows whether it arrived (RFC 9110, section 9.2.2); bodies are gone by then. */
const REPEATABLE: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE']);

/** Calls have numbers for those who count them. */
let calls = 0;

export interface ExchangeOptions {
  readonly request: Http1Request;
  readonly message: IncomingMessage;
  readonly response: ServerResponse;
  readonly terms: Http1Terms;
  readonly caller: Caller;
}

/** The connection that the request came on. */
export interface Caller {
  /** Ends it at once, so that an answer cut off cannot be taken for a whole one. */
  reset(): void;
}

/** One request and its answer, from head to end: found a connection, decided, carried both ways, counted. */
export class Exchange implements Call, ChannelUser, UploadOwner, FindTerms {
  readonly request: Http1Request;
  readonly streamId: number;
  readonly startedAt: number;
  label = '';
  traceparent = '';
  readonly #options: ExchangeOptions;
  readonly #upload: Upload;
  #download: Download;
  #watch: ExchangeWatch | undefined;
  #destination: Destination | undefined;
  #answer: AnswerHead | undefined;
  #state: 'finding' | 'open' | 'over' = 'finding';
  #isRepeated = false;
  #isWaitingForReason = false;
  #cancelReason: (() => void) | undefined;
  /** Of the answer, of the request, and of its sender; most calls are over before anybody asks. */
  #stalls: readonly [Stall, Stall, Stall] | undefined;

  constructor(options: ExchangeOptions) {
    const { request, message, response, terms } = options;
    this.#options = options;
    this.request = request;
    this.streamId = calls += 1;
    this.startedAt = terms.clock.monotonic();
    this.#download = new Download(response, undefined);
    this.#upload = new Upload(this, message, request);
  }

  /** Whether the connections that wait for work have had their chance. */
  get fresh(): boolean {
    return this.#isRepeated;
  }

  isGone(): boolean {
    return this.#state === 'over';
  }

  tooMuchToDiscard(): void {
    this.#options.caller.reset();
  }

  start(): void {
    const found = this.#options.terms.find(this.request, this);
    if (found instanceof Promise) void found.then((result) => this.#found(result));
    else this.#found(found);
  }

  #found(found: Found): void {
    if (this.#state === 'over') {
      if (found.ok) found.destination.channel.giveBack();
      return;
    }
    if (!found.ok) {
      const { rejection, correlationId: recordedAs } = found;
      this.#endWith(rejection, recordedAs === '' ? this.#options.terms.newCorrelationId() : recordedAs);
      return;
    }
    const { policy, channel } = found.destination;
    const decision = policy.decide(this.request);
    this.label = decision.label;
    if (!decision.permitted) {
      channel.giveBack();
      this.#destination = found.destination;
      this.#endWith(decision.rejection, this.#options.terms.newCorrelationId());
      return;
    }
    this.#begin(found.destination);
  }

  #begin(destination: Destination): void {
    const { terms, response } = this.#options;
    const { request } = this;
    this.#destination = destination;
    this.#state = 'open';
    this.traceparent = request.traceparent ?? terms.newTraceparent();
    destination.policy.started(this);
    destination.channel.begin(request.method, this);
    const { bodyWatch } = destination;
    if (bodyWatch !== undefined) {
      const { method, path, headerPairs } = request;
      this.#watch = bodyWatch.open({ method, path, requestHeaders: headerPairs });
      if (this.#watch !== undefined) this.#download = new Download(response, this.#watch);
    }
    const limit = this.#watch?.requestLimit ?? 0;
    if (limit > 0 && request.framing !== 'none') this.#collect(limit);
    else {
      this.#upload.send(this.#head(), destination.channel);
      destination.policy.held(terms.clock.monotonic() - this.startedAt);
    }
  }

  #head(body?: Buffer): string {
    const { request, traceparent } = this;
    const identity = this.#destination?.identity() ?? [];
    const isWatched = this.#watch !== undefined && this.#watch.readsAnswer !== false;
    return requestHead(request, { traceparent, identity, body, isWatched });
  }

  #collect(limit: number): void {
    if (this.request.expectsContinue) this.#options.response.writeContinue();
    this.#upload.collect(limit, (body) => {
      if (this.#state !== 'open' || this.#destination === undefined) return;
      const verdict =
        body === undefined
          ? { ok: false as const, rejection: reject('CALL_BODY_TOO_LARGE', `more than ${limit} bytes`) }
          : (this.#watch?.request?.(body) ?? { ok: true as const, body });
      if (!verdict.ok) {
        this.cut(verdict.rejection);
        return;
      }
      if (this.#watch?.readsAnswer === false) this.#download = new Download(this.#options.response, undefined);
      this.#upload.sendWhole(this.#head(verdict.body), verdict.body, this.#destination.channel);
    });
  }

  // --- what the callee's connection tells

  interim(head: AnswerHead): void {
    if (this.#state === 'open' && !this.#isWatchedUpload) this.#download.interim(head, this.request.expectsContinue);
  }

  /** Then the caller has been told to go on already. */
  get #isWatchedUpload(): boolean {
    return (this.#watch?.requestLimit ?? 0) > 0;
  }

  head(head: AnswerHead): void {
    this.#answer = head;
    const refused = this.#state === 'open' ? this.#download.head(head) : undefined;
    if (refused !== undefined) this.cut(refused);
  }

  body(chunk: Buffer): void {
    const refused = this.#state === 'open' ? this.#download.body(chunk) : undefined;
    if (refused !== undefined) this.cut(refused);
  }

  end(trailers: FlatFields): void {
    if (this.#state !== 'open') return;
    const channel = this.#destination?.channel;
    const { sent } = this.#upload;
    const refused = this.#download.end(trailers);
    if (refused !== undefined) {
      this.cut(refused);
      return;
    }
    this.#over();
    if (sent) {
      channel?.release({
        keepsAlive: this.#answer?.keepsAlive ?? false,
        keepAliveMs: this.#answer?.keepAliveMs,
      });
    } else {
      // The callee has answered without waiting for all of it, and does not want the rest.
      channel?.abandon();
      this.#upload.discard();
    }
    this.#tell({});
  }

  pause(): void {
    if (this.#state !== 'open' || this.#answer === undefined || this.#download.flush()) return;
    const { response } = this.#options;
    const channel = this.#destination?.channel;
    channel?.mayRead(false);
    response.once('drain', () => channel?.mayRead(true));
  }

  drained(): void {
    this.#upload.resume();
  }

  broke(problem?: string): void {
    if (this.#state !== 'open' || this.#isWaitingForReason) return;
    const { terms } = this.#options;
    if (problem !== undefined) {
      this.#destination?.policy.violated(reject('HTTP1_ANSWER_MALFORMED', problem));
      this.cut(reject('HTTP1_ANSWER_MALFORMED', problem));
    } else if (this.#mayRepeat()) this.#repeat();
    else if (terms.audience === 'peer') this.cut(this.#calleeGone());
    else {
      // Most likely it ends the whole session, and then this call is cut for what the peer says.
      this.#isWaitingForReason = true;
      const run = () => this.cut(this.#calleeGone());
      this.#cancelReason = after({ delayMs: REASON_MS, run, keepAlive: false });
    }
  }

  #calleeGone(): Rejection {
    return this.#destination?.calleeGone() ?? reject('PEER_LOST', 'the connection was lost');
  }

  #mayRepeat(): boolean {
    const { method, framing } = this.request;
    const wasKept = this.#destination?.channel.uses !== 1;
    return wasKept && this.#answer === undefined && framing === 'none' && REPEATABLE.has(method);
  }

  /** The connection had been waiting for work and died of it: as if it had never been there. */
  #repeat(): void {
    this.#tell({ resetCode: ERROR_CODE.REFUSED_STREAM });
    this.#destination = undefined;
    this.#state = 'finding';
    this.#isRepeated = true;
    this.start();
  }

  // --- ends

  reconsider(): void {
    if (this.#state !== 'open') return;
    const decision = this.#destination?.policy.decide(this.request, true);
    if (decision?.permitted === false) this.cut(decision.rejection);
  }

  /** Ends it on both sides; for the caller with an answer that says why, as long as it has had no other. */
  cut(rejection: Rejection, correlationId = this.#options.terms.newCorrelationId()): void {
    if (this.#state === 'over') return;
    this.#destination?.channel.abandon();
    this.#endWith(rejection, correlationId);
  }

  /** What only time changes. */
  timePassed(now: number): void {
    const channel = this.#destination?.channel;
    if (this.#state !== 'open' || channel === undefined) return;
    const { stallMs } = this.#options.terms.limits;
    const [answerStall, requestStall, senderStall] = (this.#stalls ??= [new Stall(), new Stall(), new Stall()]);
    const upload = this.#upload;
    const answerMs = answerStall.look(this.#download.stalled, this.#download.bytes, now);
    const requestMs = requestStall.look(channel.stalled, upload.bytes, now);
    // Once it is being answered, how a request goes on is between the two.
    const senderMs = senderStall.look(upload.isAwaited && this.#answer === undefined, upload.bytes, now);
    if (Math.max(answerMs, requestMs, senderMs) < stallMs) return;
    const what =
      senderMs >= stallMs
        ? 'the caller has sent nothing of its body'
        : `the ${answerMs >= stallMs ? 'caller' : 'callee'} has taken nothing`;
    this.cut(reject('CALL_STALLED', `${what} for ${stallMs} ms`));
  }

  /** The caller's side is closed, be it that all was said. */
  callerClosed(): void {
    if (this.#state === 'over') return;
    const isOpen = this.#state === 'open';
    this.#over();
    if (!isOpen) return;
    this.#destination?.channel.abandon();
    this.#tell({ cancelled: true });
  }

  #endWith(rejection: Rejection, correlationId: string): void {
    this.#over();
    const httpStatus = this.#refuse(rejection, correlationId);
    if (this.#destination === undefined) {
      // Nobody has decided of it yet.
      const { request } = this;
      this.#options.terms.refused({ request, rejection, correlationId, httpStatus: httpStatus ?? 0 });
      return;
    }
    const resetCode = httpStatus === undefined ? ERROR_CODE.CANCEL : undefined;
    this.#tell({ rejection, correlationId, httpStatus, resetCode });
  }

  /** @returns the status that the caller was told; `undefined`: it was too late, and it was cut off */
  #refuse(rejection: Rejection, correlationId: string): number | undefined {
    const { response, terms, caller } = this.#options;
    if (this.#download.begun || response.destroyed) {
      caller.reset();
      return undefined;
    }
    const { audience } = terms;
    const { status, fields, body } = problemAnswer({ rejection, correlationId, audience });
    response.writeHead(status, fields);
    response.end(body);
    this.#upload.discard();
    return status;
  }

  #over(): void {
    this.#state = 'over';
    this.#cancelReason?.();
  }

  #tell(
    end: Partial<Pick<CallOutcome, 'rejection' | 'correlationId' | 'httpStatus' | 'resetCode' | 'cancelled'>>,
  ): void {
    const { rejection, httpStatus, resetCode, cancelled = false } = end;
    const refusedUnder = this.#answer?.refusedUnder;
    const isRepeated = resetCode === ERROR_CODE.REFUSED_STREAM;
    this.#destination?.policy.ended(this, {
      grpcStatus: undefined,
      httpStatus: httpStatus ?? this.#answer?.status,
      resetCode,
      cancelled,
      source: rejection !== undefined ? 'sidecar' : refusedUnder !== undefined || isRepeated ? 'peer' : 'app',
      rejection,
      correlationId: end.correlationId ?? refusedUnder ?? '',
      durationMs: this.#options.terms.clock.monotonic() - this.startedAt,
      requestBytes: this.#upload.bytes,
      responseBytes: this.#download.bytes,
      requestMessages: 0,
      responseMessages: 0,
    });
  }
}
