import type { IncomingMessage, ServerResponse } from 'node:http';
import { JsonError, parseStrictJsonBytes } from '../../domain/canonical/strict-json.ts';
import type { ModelCall, ModelEndpoint } from '../../domain/inference/model-call.ts';
import { ModelCallError } from '../../domain/inference/model-call-error.ts';
import { parseModelCall } from '../../domain/inference/parse-model-call.ts';
import { rejection } from '../../domain/rejection.ts';
import { ByteCollector } from '../../platform/byte-collector.ts';
import { foreignRequest } from '../../platform/foreign-request.ts';
import { AgentHungUp, CallRefused } from './call-refused.ts';

/** What the port offers. Everything else that the API has is closed on purpose. */
export type Route =
  | { readonly kind: 'call'; readonly endpoint: ModelEndpoint; readonly path: string }
  | { readonly kind: 'models' }
  | { readonly kind: 'model'; readonly id: string };

const CALLS: Readonly<Record<string, ModelEndpoint>> = {
  '/v1/chat/completions': 'chat_completions',
  '/v1/responses': 'responses',
};
const OFFERED = 'POST /v1/chat/completions, POST /v1/responses, GET /v1/models, GET /v1/models/{model}';
const ONE_MODEL = /^\/v1\/models\/([A-Za-z0-9._:%/-]{1,600})$/;
const JSON_TYPE = /^application\/json *(?:; *charset="?utf-8"?)?$/i;
/** A body that is too large is read and forgotten up to here, so that its sender hears why instead of a reset. */
const MAX_DISCARDED_BYTES = 64 * 1024 * 1024;
const MAX_DEPTH = 64;

/**
 * Which of the routes a request is for.
 *
 * @throws CallRefused
 */
export function routeOf({ method = '', url = '', headers }: IncomingMessage): Route {
  const foreign = foreignRequest(headers);
  if (foreign !== undefined) {
    const detail =
      foreign === 'page'
        ? 'the request comes from a web page'
        : 'the header Host names neither localhost nor an address';
    throw new CallRefused(rejection('INFERENCE_CALLER_REFUSED', detail), { message: detail });
  }
  const path = url.startsWith('/') ? url : '';
  const endpoint = Object.hasOwn(CALLS, path) ? CALLS[path] : undefined;
  if (endpoint !== undefined && method === 'POST') return { kind: 'call', endpoint, path: path.slice('/v1'.length) };
  if (path === '/v1/models' && method === 'GET') return { kind: 'models' };
  const [, escaped] = ONE_MODEL.exec(path) ?? [];
  const id = escaped === undefined ? undefined : unescaped(escaped);
  if (id !== undefined && method === 'GET') return { kind: 'model', id };
  throw new CallRefused(rejection('INFERENCE_ENDPOINT_UNKNOWN', `there is ${OFFERED}`), {
    message: `this sidecar has ${OFFERED}, and nothing else`,
  });
}

/**
 * Reads a call: its whole body, strictly. Nothing of the agent's bytes is kept but what was understood.
 *
 * @throws CallRefused, AgentHungUp
 */
export async function readModelCall(
  request: IncomingMessage,
  { endpoint, maxBytes, response }: ReadingInput,
): Promise<ModelCall> {
  const { 'content-type': type = '', 'content-encoding': encoding, 'transfer-encoding': transfer } = request.headers;
  if (!JSON_TYPE.test(type)) throw invalid('the body must be application/json in UTF-8');
  if (encoding !== undefined && encoding !== 'identity') throw invalid('a compressed body is not accepted');
  // Node undoes the chunks, and leaves the rest of the list as it is.
  if (transfer !== undefined && transfer.toLowerCase() !== 'chunked')
    throw invalid('a body may be chunked, and no more');
  if (request.headers.expect !== undefined) response.writeContinue();
  const bytes = await readBody(request, maxBytes);
  try {
    return parseModelCall(endpoint, parseStrictJsonBytes(bytes, { maxDepth: MAX_DEPTH }));
  } catch (error) {
    if (error instanceof JsonError) throw invalid(`the body is not acceptable JSON: ${error.message}`);
    if (error instanceof ModelCallError) {
      throw invalid(error.message, { reason: error.code, ...(error.param !== '' && { param: error.param }) });
    }
    throw error;
  }
}

interface ReadingInput {
  readonly endpoint: ModelEndpoint;
  readonly maxBytes: number;
  readonly response: ServerResponse;
}

function invalid(detail: string, { param, reason }: { param?: string; reason?: string } = {}): CallRefused {
  return new CallRefused(rejection('INFERENCE_REQUEST_INVALID', detail), {
    message: detail,
    ...(param !== undefined && { param }),
    ...(reason !== undefined && { more: { reason } }),
  });
}

async function readBody(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const declared = Number(request.headers['content-length'] ?? 0);
  const refused = new CallRefused(
    rejection('INFERENCE_REQUEST_TOO_LARGE', `the body has more than ${maxBytes} bytes`),
    { message: `the body has more than ${maxBytes} bytes` },
  );
  if (declared > MAX_DISCARDED_BYTES) throw refused;
  const body = new ByteCollector();
  let length = 0;
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > MAX_DISCARDED_BYTES) throw refused;
      if (length > maxBytes) body.take();
      else body.push(chunk);
    }
  } catch (error) {
    if (error instanceof CallRefused) throw error;
    throw new AgentHungUp('the body never came to its end', { cause: error });
  }
  if (length > maxBytes) throw refused;
  return body.take();
}

function unescaped(text: string): string | undefined {
  try {
    const id = decodeURIComponent(text);
    return id.includes('..') ? undefined : id;
  } catch (error) {
    if (error instanceof URIError) return undefined;
    throw error;
  }
}
