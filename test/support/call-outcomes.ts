import type { Call, CallOutcome, CallRequest } from '../../src/dataplane/gate/call.ts';

export const TRACEPARENT = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';

/** A gRPC call that its agent answered with OK, unless told otherwise. */
export function outcome(more: Partial<CallOutcome> = {}): CallOutcome {
  return {
    grpcStatus: 0,
    httpStatus: 200,
    resetCode: undefined,
    cancelled: false,
    source: 'app',
    rejection: undefined,
    correlationId: '',
    durationMs: 7,
    requestBytes: 100,
    responseBytes: 200,
    requestMessages: 1,
    responseMessages: 2,
    ...more,
  };
}

export function callRequest(more: Partial<CallRequest> = {}): CallRequest {
  return {
    method: 'POST',
    path: '/search.v1.Search/Find',
    authority: 'researcher',
    isGrpc: true,
    headers: [],
    ...more,
  };
}

export function call(more: Partial<Call> = {}): Call {
  return {
    request: callRequest(),
    label: '/search.v1.Search/*',
    streamId: 1,
    traceparent: TRACEPARENT,
    startedAt: 0,
    ...more,
  };
}
