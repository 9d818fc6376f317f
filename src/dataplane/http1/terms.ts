import type { Rejection } from '../../domain/rejection.ts';
import type { Clock } from '../../platform/clock.ts';
import type { CallPolicy, CallRequest } from '../gate/call.ts';
import type { Audience } from '../gate/refusal.ts';
import type { HeaderField } from '../hpack/header-field.ts';
import type { BodyWatch } from './body-watch.ts';
import type { Channel } from './channel.ts';

/** Where one request goes: a connection for it alone until it has been answered, and who decides of it. */
export interface Destination {
  readonly policy: CallPolicy;
  /** Fields that tell the callee who calls; the same list as long as nothing changed. */
  readonly identity: () => readonly HeaderField[];
  /** Why calls end when the callee closes the connection under them. */
  readonly calleeGone: () => Rejection;
  readonly channel: Channel;
  /** Default: nobody reads along. */
  readonly bodyWatch?: BodyWatch | undefined;
}

export type Found =
  | { readonly ok: true; readonly destination: Destination }
  | {
      readonly ok: false;
      readonly rejection: Rejection;
      /** Under which it is on record already; empty: it is not. */
      readonly correlationId: string;
    };

export interface FindTerms {
  /** The connections that wait for work will not do: the request has failed on one that died. */
  readonly fresh: boolean;
  /** Whether nobody waits for the answer any more. */
  isGone(): boolean;
}

export interface Http1Limits {
  /** Bytes of the head of one message, and of its trailers. */
  readonly maxHeaderBytes: number;
  /** How long a call may wait for a reader that takes nothing, ms. */
  readonly stallMs: number;
}

/** What the HTTP/1.1 half of the data plane needs to know of the rest, for one connection of a caller. */
export interface Http1Terms {
  /** Who is on the other end of the caller's connection: what it may be told of a refusal. */
  readonly audience: Audience;
  readonly limits: Http1Limits;
  readonly clock: Clock;
  /** The `traceparent` of a trace that begins here. */
  readonly newTraceparent: () => string;
  readonly newCorrelationId: () => string;
  /** Where a request goes. Rejects never; what comes at once is used in the same step. */
  readonly find: (request: CallRequest, terms: FindTerms) => Found | Promise<Found>;
  /** A request was refused before there was anybody to decide of it; told once. `request`: as far as it could be read. */
  readonly refused: (refusal: {
    readonly request: CallRequest | undefined;
    readonly rejection: Rejection;
    readonly correlationId: string;
    readonly httpStatus: number;
  }) => void;
}
