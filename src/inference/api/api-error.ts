import type { ServerResponse } from 'node:http';
import type { RequestOutcome } from '../inference-metrics.ts';
import { sendJson } from './send-json.ts';

export interface ApiErrorOptions {
  readonly status: 400 | 401 | 404 | 405 | 408 | 413 | 503;
  /** One sentence; repeats nothing of a prompt. */
  readonly message: string;
  readonly type: 'invalid_request_error' | 'authentication_error' | 'server_error';
  /** The member of the request that is meant, `messages[0].content`. */
  readonly param?: string;
  readonly code: string;
}

/** Why a request gets no answer, in the shape that clients of OpenAI-compatible servers know. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly options: ApiErrorOptions;

  constructor(options: ApiErrorOptions) {
    super(options.message);
    this.options = options;
  }

  get outcome(): RequestOutcome {
    const { status } = this.options;
    if (status === 401) return 'unauthenticated';
    return status === 503 ? 'overloaded' : 'invalid';
  }
}

export function invalidRequest(param: string, problem: string, code = 'invalid_value'): ApiError {
  const message = param === '' ? problem : `${param}: ${problem}`;
  return new ApiError({ status: 400, message, type: 'invalid_request_error', param, code });
}

/** `{error: {message, type, param, code}}`. */
export function sendError(response: ServerResponse, { options }: ApiError): void {
  const { status, message, type, param = null, code } = options;
  if (status === 503) response.setHeader('retry-after', '1');
  // The rest of a body that is too large is not waited for.
  if (status === 401 || status === 408 || status === 413) response.setHeader('connection', 'close');
  sendJson(response, status, { error: { message, type, param, code } });
}
