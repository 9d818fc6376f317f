import { encodeFields } from '../hpack/encoder.ts';
import type { HeaderBlock } from '../hpack/header-block.ts';
import type { HeaderField } from '../hpack/header-field.ts';
import { ceilGrpcTimeout, parseGrpcTimeout } from './grpc-timeout.ts';
import { readRequestHead, type RequestHead } from './request-head.ts';
import { isReserved, REFUSAL_FIELD, withoutReserved } from './reserved-fields.ts';
import { readResponseHead, type ResponseHead } from './response-head.ts';
import { receivedTraceparent } from './trace-context.ts';

/** What a gate makes of a header block that opens a call. It hangs on the block: the same bytes come again and again. */
export type PreparedRequest =
  | { readonly ok: false; readonly problem: string }
  | {
      readonly ok: true;
      readonly head: RequestHead;
      /** For the callee, without what is added for each call. */
      readonly forward: Buffer;
      /** The caller's, if it goes on; `undefined`: this call starts a trace. */
      readonly traceparent: string | undefined;
      /** Whether the caller's deadline is none. */
      readonly timeoutInvalid: boolean;
    };

export function prepareRequest(block: HeaderBlock, maxDeadlineMs: number | undefined): PreparedRequest {
  const known = block.derived as PreparedRequest | undefined;
  if (known !== undefined) return known;
  const result = readRequestHead(block.fields);
  const prepared = result.ok ? prepare(result.head, maxDeadlineMs) : result;
  block.derived = prepared;
  return prepared;
}

function prepare(head: RequestHead, maxDeadlineMs: number | undefined): PreparedRequest {
  const { grpcTimeout } = head;
  const timeoutMs = grpcTimeout === undefined ? undefined : parseGrpcTimeout(grpcTimeout);
  const lowered = head.request.isGrpc ? ceilGrpcTimeout(timeoutMs, maxDeadlineMs) : undefined;
  const traceparent = receivedTraceparent(head.request.headers);
  const dropped = (name: string): boolean =>
    isReserved(name) ||
    // `host` says what `:authority` says, and goes on as that.
    name === 'host' ||
    (lowered !== undefined && name === 'grpc-timeout') ||
    (traceparent === undefined && (name === 'traceparent' || name === 'tracestate'));
  const fields = head.request.headers.filter(({ name }) => !dropped(name));
  if (!fields.some(({ name }) => name === ':authority') && head.request.authority !== '') {
    fields.unshift({ name: ':authority', value: head.request.authority });
  }
  if (lowered !== undefined) fields.push({ name: 'grpc-timeout', value: lowered });
  return {
    ok: true,
    head,
    forward: encodeFields(fields),
    traceparent,
    timeoutInvalid: grpcTimeout !== undefined && timeoutMs === undefined,
  };
}

/** What a gate makes of a header block of the callee. */
export interface PreparedResponse {
  readonly head: ResponseHead;
  readonly forward: Buffer;
  /** Set where the peer's sidecar answered instead of its agent: the correlation id that it gave. */
  readonly refusedUnder: string | undefined;
}

export interface ResponseTerms {
  /** Whether the head of the answer has been seen. */
  readonly answered: boolean;
  readonly endStream: boolean;
  /** Whether the block comes from another sidecar, which may say that it answered itself. */
  readonly fromSidecar: boolean;
}

export function prepareResponse(block: HeaderBlock, terms: ResponseTerms): PreparedResponse {
  const { answered, endStream } = terms;
  const known = block.derived as (PreparedResponse & { answered: boolean; endStream: boolean }) | undefined;
  if (known !== undefined && known.answered === answered && known.endStream === endStream) return known;
  const prepared = { answered, endStream, ...read(block.fields, terms) };
  block.derived = prepared;
  return prepared;
}

function read(fields: readonly HeaderField[], { answered, endStream, fromSidecar }: ResponseTerms): PreparedResponse {
  const head = readResponseHead(fields, { answered, endStream });
  const refused = fromSidecar && endStream && fields.some(({ name }) => name === REFUSAL_FIELD.reason);
  const kept = refused
    ? fields.filter(({ name }) => !isReserved(name) || REFUSAL_NAMES.has(name))
    : withoutReserved(fields);
  const correlationId = fields.find(({ name }) => name === REFUSAL_FIELD.correlationId)?.value ?? '';
  return { head, forward: encodeFields(kept), refusedUnder: refused ? correlationId : undefined };
}

const REFUSAL_NAMES: ReadonlySet<string> = new Set(Object.values(REFUSAL_FIELD));
