import type { HeaderField } from '../hpack/header-field.ts';
import { fieldProblem, parseLength } from './field-rules.ts';

/** What a header block of the callee is: information ahead of the answer, the answer's head, or the trailers behind it. */
export type ResponseHead =
  | {
      readonly kind: 'informational' | 'final';
      readonly status: number;
      readonly grpcStatus: number | undefined;
      readonly contentLength: number | undefined;
    }
  | { readonly kind: 'trailers'; readonly grpcStatus: number | undefined }
  | { readonly kind: 'malformed'; readonly problem: string };

/**
 * Reads a header block of the callee (RFC 9113, sections 8.1 and 8.3.2).
 *
 * @param place whether the final head of the answer has been seen
 * @param endStream whether the block ends the stream
 */
export function readResponseHead(
  headers: readonly HeaderField[],
  { answered, endStream }: { readonly answered: boolean; readonly endStream: boolean },
): ResponseHead {
  const malformed = (problem: string): ResponseHead => ({ kind: 'malformed', problem });
  let status: number | undefined;
  let regular = false;
  let grpcStatus: number | undefined;
  let contentLength: number | undefined;
  for (const field of headers) {
    const { name, value } = field;
    if (name.charCodeAt(0) === COLON) {
      if (answered || regular || name !== ':status' || status !== undefined || !STATUS.test(value)) {
        return malformed('a pseudo-header where none, or another one, belongs');
      }
      status = Number(value);
      continue;
    }
    regular = true;
    const problem = fieldProblem(field);
    if (problem !== undefined) return malformed(problem);
    if (name === 'grpc-status') grpcStatus = GRPC_STATUS.test(value) ? Number(value) : UNKNOWN;
    else if (name === 'content-length') {
      const length = parseLength(value);
      if (length === undefined || (contentLength !== undefined && contentLength !== length)) {
        return malformed('content-length that is no length, or two of them');
      }
      contentLength = length;
    }
  }
  if (answered) return endStream ? { kind: 'trailers', grpcStatus } : malformed('trailers that do not end the stream');
  if (status === undefined) return malformed(':status is missing');
  if (status >= 200) return { kind: 'final', status, grpcStatus, contentLength };
  if (endStream || status === 101) return malformed('an informational status that ends or switches');
  return { kind: 'informational', status, grpcStatus: undefined, contentLength: undefined };
}

/** What is wrong with the trailers of a request, if anything. */
export function requestTrailersProblem(headers: readonly HeaderField[], endStream: boolean): string | undefined {
  if (!endStream) return 'a second header block that does not end the stream';
  for (const field of headers) {
    if (field.name.charCodeAt(0) === COLON) return 'a pseudo-header in trailers';
    const problem = fieldProblem(field);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

const COLON = 58;
const STATUS = /^[1-9]\d\d$/;
/** 0 to 16 (grpc/status.h), without a leading zero. */
const GRPC_STATUS = /^(\d|1[0-6])$/;
const UNKNOWN = 2;
