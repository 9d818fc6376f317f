import type { Rejection } from '../../domain/rejection.ts';

/** Names and values as they came, in order. */
export type HeaderPairs = readonly (readonly [string, string])[];

/** Head of one exchange as the sidecar saw it. */
export interface ExchangeHead {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly requestHeaders: HeaderPairs;
}

/** Reads along in the exchanges of HTTP/1.1. Asked once for each, before anything of its body is forwarded. Must not throw. */
export interface BodyWatch {
  /** @returns `undefined`: nobody is interested, and the bodies pass untouched: the usual case, at no cost. */
  open(head: ExchangeHead): ExchangeWatch | undefined;
}

/**
 * Who reads along in one exchange. The callee is asked for an answer without a content coding where that may be read, and
 * one that has it all the same is refused: what cannot be read does not pass unread.
 */
export interface ExchangeWatch {
  /**
   * Bytes of the request's body that are held back and handed over whole before anything is forwarded; 0: none. A longer
   * body is refused as CALL_BODY_TOO_LARGE.
   */
  readonly requestLimit: number;
  /** The whole body of the request. Default: it goes on as it is. */
  request?(body: Buffer): BodyVerdict;
  /** Whether the answer may have to be read; asked when the request goes on. Default true. */
  readonly readsAnswer?: boolean;
  /** @returns how to read the body of the answer; `undefined`: it passes untouched. */
  response(head: { readonly status: number; readonly headers: HeaderPairs }): ResponseWatch | undefined;
}

/** The body to pass on in its place, or why nothing is. */
export type BodyVerdict =
  { readonly ok: true; readonly body: Buffer } | { readonly ok: false; readonly rejection: Rejection };

/**
 * `whole`: the body is collected, up to `limit` bytes, and passed on as judged. `events`: of a `text/event-stream`, each
 * event of at most `limit` bytes is judged, with the blank line that ends it, and passed on at once.
 */
export type ResponseWatch =
  | { readonly kind: 'whole'; readonly limit: number; body(body: Buffer): BodyVerdict }
  | { readonly kind: 'events'; readonly limit: number; event(event: Buffer): BodyVerdict };
