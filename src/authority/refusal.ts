import type { sendUnaryData, ServerUnaryCall } from '@grpc/grpc-js';
import { isMeshError } from '../domain/mesh-error.ts';
import type { Logger } from '../platform/logger.ts';
import { toServiceError, type StatusName } from '../wire/error-status.ts';

/** The authority says no. Security outcomes are values, so that no caller can forget that there are two. */
export interface Refusal {
  readonly ok: false;
  readonly grpc: StatusName;
  /** Stable, for machines and the reference page. */
  readonly code: string;
  /** One line, told to the caller. */
  readonly detail: string;
}

export type Outcome<T> = { readonly ok: true; readonly value: T } | Refusal;

export function refusal(grpc: StatusName, code: string, detail: string): Refusal {
  return { ok: false, grpc, code, detail };
}

/** A refusal as what grpc-js sends. */
export function refusalStatus({ grpc, code, detail }: Refusal) {
  return toServiceError({ grpc, code, message: detail });
}

/** Makes a grpc-js handler of a function with an outcome. A defect is logged here and told to nobody. */
export function unary<Request, Response>(
  method: string,
  logger: Logger,
  answer: (call: ServerUnaryCall<Request, Response>) => Promise<Outcome<Response>>,
) {
  const run = async (call: ServerUnaryCall<Request, Response>): Promise<Outcome<Response>> => {
    try {
      return await answer(call);
    } catch (error) {
      logger.error('call_failed', { method, error });
      if (isMeshError(error, 'STATE_NOT_WRITTEN')) {
        // Transient by its status, since a disk gets room again: sidecars come back.
        return refusal('UNAVAILABLE', error.code, 'the authority cannot write its state; its log has the cause');
      }
      return refusal('INTERNAL', 'INTERNAL', 'the authority failed; its log has the cause');
    }
  };
  const respond = async (call: ServerUnaryCall<Request, Response>, callback: sendUnaryData<Response>) => {
    const outcome = await run(call);
    if (outcome.ok) callback(null, outcome.value);
    else callback(refusalStatus(outcome));
  };
  return (call: ServerUnaryCall<Request, Response>, callback: sendUnaryData<Response>): void => {
    void respond(call, callback);
  };
}
