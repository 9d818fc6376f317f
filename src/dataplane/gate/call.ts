import type { Rejection } from '../../domain/rejection.ts';
import type { HeaderField } from '../hpack/header-field.ts';

/** What a caller asks for: the request headers of one HTTP/2 stream, checked for form and not yet for permission. */
export interface CallRequest {
  readonly method: string;
  /** `:path` as it came, query included; it begins with a slash, or is `*`. */
  readonly path: string;
  /** Lower case; empty where the caller named none. */
  readonly authority: string;
  /** Whether it is a gRPC call: such a caller is answered in gRPC's own words. */
  readonly isGrpc: boolean;
  /** Whether it came as proxies get it, with a whole URL for its target. Default false. */
  readonly isProxied?: boolean;
  /** Whether a browser says that it sends it for a page (`Origin`, `Sec-Fetch-Site`). Default: not looked at. */
  readonly isFromPage?: boolean;
  /** As they came, in order, pseudo-headers included. */
  readonly headers: readonly HeaderField[];
}

/**
 * The answer to {@link CallPolicy.decide}. `label` is what metrics call this method: taken from grants and configuration
 * only, never from the wire.
 */
export type CallDecision =
  | { readonly permitted: true; readonly label: string }
  | { readonly permitted: false; readonly label: string; readonly rejection: Rejection };

/** One call that was permitted, or refused, on its way through a gate. */
export interface Call {
  readonly request: CallRequest;
  readonly label: string;
  /** 1 for the first stream of the connection; unique on it. */
  readonly streamId: number;
  /** The W3C trace context's `traceparent` that went on, or would have. */
  readonly traceparent: string;
  /** Monotonic, ms: when its headers were read. */
  readonly startedAt: number;
}

/** Who decided how a call ended: the agent that was called, this sidecar, or the sidecar of the peer. */
export type AnswerSource = 'app' | 'sidecar' | 'peer';

/** How a call ended. */
export interface CallOutcome {
  /** gRPC's status as a number, 0 to 16; `undefined`: it is no gRPC call, or was reset before it had one. */
  readonly grpcStatus: number | undefined;
  /** The final HTTP status; `undefined`: there was none. */
  readonly httpStatus: number | undefined;
  /** The error code of the RST_STREAM that ended it, if one did. */
  readonly resetCode: number | undefined;
  /** Whether the caller ended it before it was answered. */
  readonly cancelled: boolean;
  readonly source: AnswerSource;
  /** Set where this sidecar refused or cut it. */
  readonly rejection: Rejection | undefined;
  /** Set where a sidecar refused or cut it: under this the two sidecars' logs, and what the caller was told, agree. */
  readonly correlationId: string;
  readonly durationMs: number;
  /** Bytes of DATA, without padding. */
  readonly requestBytes: number;
  readonly responseBytes: number;
  /** gRPC messages that began; 0 where it is no gRPC call. */
  readonly requestMessages: number;
  readonly responseMessages: number;
}

/**
 * The narrow port of a gate. All of it is synchronous: nothing else happens between a decision and the act that follows.
 * An implementation must not throw.
 */
export interface CallPolicy {
  /**
   * Whether a call may go on. Asked before the callee sees a byte of it; when it is permitted then, {@link started} follows.
   *
   * @param judgeOnly whether nothing follows: the call goes on already, or is refused for another reason. Default false.
   */
  decide(request: CallRequest, judgeOnly?: boolean): CallDecision;
  /** A call has been permitted and goes on. */
  started(call: Call): void;
  /** A call has ended, or was refused; told once for each. Without {@link started} where it was refused at once. */
  ended(call: Call, outcome: CallOutcome): void;
  /** The agent or the peer broke the protocol: one stream, or the whole connection, ends for it. */
  violated(rejection: Rejection): void;
  /** How long one header block of a request was held up, ms: from having been read to having been written on. */
  held(ms: number): void;
}
