import type { IncomingHttpHeaders } from 'node:http';
import type { Rejection } from '../../domain/rejection.ts';
import type { Component } from '../../platform/component.ts';

/** A request to whoever computes the answer. */
export interface UpstreamRequest {
  readonly method: 'GET' | 'POST';
  /** Below the root of the API, such as `/chat/completions`. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Buffer;
  /** Ends it at any time; see `endOf`. */
  readonly signal: AbortSignal;
  /** Asked in the very step in which the first byte is written: what was allowed may no longer be. */
  readonly beforeWrite: () => Rejection | undefined;
}

export interface UpstreamAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /**
   * The body, once, as fast as it is taken. Whoever stops taking ends the request. Its errors are `CallRefused` or
   * `AgentHungUp`.
   */
  readonly chunks: AsyncIterable<Buffer>;
}

/** Where answers come from: the confidential-inference service, or a provider. */
export interface Upstream extends Component {
  /**
   * Sends it once, never twice: what may have reached the other side is not repeated.
   *
   * @throws CallRefused, AgentHungUp
   */
  send(request: UpstreamRequest): Promise<UpstreamAnswer>;
  /** Something that decides about open connections may have changed. */
  reconsider(): void;
}
