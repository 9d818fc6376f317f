import type { IncomingMessage } from 'node:http';
import { JsonError, parseStrictJsonBytes, type JsonObject } from '../../domain/canonical/strict-json.ts';
import { anyObjectAt, ShapeError } from '../../domain/json-shape.ts';
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
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBytes) throw tooLarge(maxBytes);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, size);
}

function tooLarge(maxBytes: number): ApiError {
  return new ApiError({
    status: 413,
    message: `the body is larger than ${maxBytes} bytes`,
    type: 'invalid_request_error',
    code: 'request_too_large',
  });
}
