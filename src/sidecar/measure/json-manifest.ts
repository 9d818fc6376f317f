import { digestJson, type Digest } from '../../domain/canonical/digest.ts';
import { JsonError, parseStrictJson, type JsonValue } from '../../domain/canonical/strict-json.ts';
import { ShapeError } from '../../domain/json-shape.ts';
import { readBounded } from './bounded-read.ts';
import { MeasurementProblem } from './measurement-problem.ts';
import { firstInvalidUtf8 } from './utf8-position.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Reads a file of strict JSON. Syntax problems are told as `path:line:column: …`.
 *
 * @throws MeasurementProblem `empty`, `not_utf8`, `malformed`, and those of `readBounded`.
 */
export function readJsonFile(path: string, maxBytes: number): JsonValue {
  const bytes = readBounded(path, maxBytes);
  if (bytes.length === 0) throw new MeasurementProblem('empty', `${path}: empty`);
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch (cause) {
    throw new MeasurementProblem('not_utf8', `${path}: not UTF-8 at byte ${firstInvalidUtf8(bytes)}`, { cause });
  }
  try {
    return parseStrictJson(text);
  } catch (cause) {
    if (!(cause instanceof JsonError)) throw cause;
    throw new MeasurementProblem('malformed', `${path}:${placeOf(text, cause.offset)}: ${cause.message}`, { cause });
  }
}

/** Runs the reading of a parsed file's shape; what it finds is told with the path of the file. */
export function readShape<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof ShapeError) throw new MeasurementProblem('malformed', `${path}: ${cause.message}`, { cause });
    throw cause;
  }
}

/** `ait-json-1`; what the strict parser let through and RFC 8785 cannot express is the file's fault. */
export function digestOfJson(path: string, value: JsonValue): Digest {
  try {
    return digestJson(value);
  } catch (cause) {
    throw new MeasurementProblem('malformed', `${path}: has no canonical form`, { cause });
  }
}

/** `line:column`, both from 1, of a UTF-16 index. */
function placeOf(text: string, offset: number): string {
  const before = text.slice(0, offset);
  const lineStart = before.lastIndexOf('\n') + 1;
  return `${before.split('\n').length}:${before.length - lineStart + 1}`;
}
