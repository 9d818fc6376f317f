import type { Rejection } from '../../domain/rejection.ts';
import type { AnswerSource, Call, CallOutcome, CallRequest } from './call.ts';
import { MessageCount } from './message-count.ts';
import { Stall } from './stall.ts';

/** How far the callee's answer has come: nothing but information; its head; its end. */
export type AnswerState = 'none' | 'head' | 'ended';

/** One call that is open in a gate: what has passed of it in each direction. */
export class CallStream implements Call {
  readonly request: CallRequest;
  readonly streamId: number;
  readonly traceparent: string;
  readonly startedAt: number;
  /** As of the last decision on it. */
  label: string;

  /** Whether the caller has ended its direction. */
  requestEnded = false;
  answer: AnswerState = 'none';
  /** Set when the answer is the peer's sidecar's. */
  refusedByPeer = false;
  grpcStatus: number | undefined;
  httpStatus: number | undefined;
  /** What the sidecar that refused it calls it. */
  correlationId = '';

  requestBytes = 0;
  responseBytes = 0;
  /** What may still come as DATA, by what the message said of its length; `undefined`: it did not say. */
  requestLeft: number | undefined;
  responseLeft: number | undefined;
  /** What the callee, and the caller, may still send, by the windows that have passed by. */
  requestWindow: number;
  responseWindow: number;
  readonly answerStall = new Stall();
  readonly requestStall = new Stall();
  readonly requestMessages: MessageCount | undefined;
  readonly responseMessages: MessageCount | undefined;

  constructor(input: {
    request: CallRequest;
    label: string;
    streamId: number;
    traceparent: string;
    startedAt: number;
    requestWindow: number;
    responseWindow: number;
  }) {
    this.request = input.request;
    this.label = input.label;
    this.streamId = input.streamId;
    this.traceparent = input.traceparent;
    this.startedAt = input.startedAt;
    this.requestWindow = input.requestWindow;
    this.responseWindow = input.responseWindow;
    this.requestMessages = input.request.isGrpc ? new MessageCount() : undefined;
    this.responseMessages = input.request.isGrpc ? new MessageCount() : undefined;
  }

  outcome(end: CallEnd): CallOutcome {
    const { rejection, resetCode, cancelled = false, correlationId = this.correlationId } = end;
    const source: AnswerSource = rejection !== undefined ? 'sidecar' : this.refusedByPeer ? 'peer' : 'app';
    return {
      grpcStatus: this.grpcStatus,
      httpStatus: this.httpStatus,
      resetCode,
      cancelled,
      source,
      rejection,
      correlationId,
      durationMs: end.now - this.startedAt,
      requestBytes: this.requestBytes,
      responseBytes: this.responseBytes,
      requestMessages: this.requestMessages?.begun ?? 0,
      responseMessages: this.responseMessages?.begun ?? 0,
    };
  }
}

export interface CallEnd {
  /** Monotonic, ms. */
  readonly now: number;
  readonly resetCode?: number;
  readonly cancelled?: boolean;
  readonly rejection?: Rejection;
  readonly correlationId?: string;
}
