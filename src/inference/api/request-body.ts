import type { IncomingMessage } from 'node:http';
import { JsonError, parseStrictJsonBytes, type JsonObject } from '../../domain/canonical/strict-json.ts';
import { anyObjectAt, ShapeError } from '../../domain/json-shape.ts';
import { ByteCollector } from '../../platform/byte-collector.ts';
import { ApiError, invalidRequest } from './api-error.ts';

/** A tool's schema may be deep; a prompt is not. */
const MAX_DEPTH = 64;

/** Reads a request's body as one strict JSON object. @throws ApiError */
export async function readJsonBody(request: IncomingMessage, maxBytes: number): Promise<JsonObject> {
  const bytes = await readBytes(request, maxBytes);
  try {
    return anyObjectAt(parseStrictJsonBytes(bytes, { maxDepth: MAX_DEPTH }), 'the body');
  } catch (error) {
    if (error instanceof JsonError || error instanceof ShapeError)
      throw invalidRequest('', error.message, 'invalid_json');
    throw error;
  }
}

async function readBytes(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) throw tooLarge(maxBytes);
  const body = new ByteCollector();
  for await (const chunk of request as AsyncIterable<Buffer>) {
    if (body.length + chunk.length > maxBytes) throw tooLarge(maxBytes);
    body.push(chunk);
  }
  return body.take();
}

function tooLarge(maxBytes: number): ApiError {
  return new ApiError({
    status: 413,
    message: `the body is larger than ${maxBytes} bytes`,
    type: 'invalid_request_error',
    code: 'request_too_large',
  });
}
