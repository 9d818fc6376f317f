import type { IncomingHttpHeaders } from 'node:http';
import type { Rejection } from '../../domain/rejection.ts';
import type { Component } from '../../platform/component.ts';
import type { KeyEcho } from './key-echo.ts';

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
  /** Knows the key again with which we asked: what has it in it is not for the agent. `undefined`: there was none. */
  readonly echo?: KeyEcho;
  /**
   * Hands the body on, once, each chunk in the very step in which it came. Resolves when all of it has been taken.
   *
   * @throws CallRefused, AgentHungUp; and what `take` threw, or rejected with, which ends the request
   */
  readonly read: (take: TakeChunk) => Promise<void>;
}

/** Takes one chunk. Where it gives a promise, nothing more comes before that has resolved. */
export type TakeChunk = (chunk: Buffer) => Promise<void> | undefined;

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
