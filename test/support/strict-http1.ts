/** One message of HTTP/1.1, as bytes say it that can be read in one way only. */
export interface StrictMessage {
  /** The request line, or the status line. */
  readonly line: string;
  /** As they came, in order. */
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Buffer;
  readonly trailers: readonly (readonly [string, string])[];
  /** Where the next one begins. */
  readonly end: number;
}

const FIELD = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+: ?([\t\x20-\x7e\x80-\xff]*)$/;
const REQUEST_LINE = /^[A-Z-]+ (?:\/[\x21\x22\x24-\x7e]*|\*) HTTP\/1\.1$/;
const STATUS_LINE = /^HTTP\/1\.1 [1-5]\d\d [\t\x20-\x7e]*$/;

/**
 * Reads a message with no leniency at all: what this takes, every server and client reads alike.
 *
 * @param isBodiless whether it has no body whatever its headers say, as the answer to HEAD
 * @returns `undefined`: it is not whole yet
 * @throws Error when it could be read differently
 */
export function readStrictly(bytes: Buffer, from = 0, isBodiless = false): StrictMessage | undefined {
  const headEnd = bytes.indexOf('\r\n\r\n', from);
  if (headEnd < 0) return undefined;
  const [line = '', ...lines] = bytes.toString('latin1', from, headEnd).split('\r\n');
  if (!REQUEST_LINE.test(line) && !STATUS_LINE.test(line)) throw new Error(`no start line: ${JSON.stringify(line)}`);
  const headers = lines.map(readField);
  const lengths = valuesOf(headers, 'content-length');
  const codings = valuesOf(headers, 'transfer-encoding');
  if (lengths.length + codings.length > 1) throw new Error(`two ends of one body: ${JSON.stringify(headers)}`);
  if (!line.startsWith('HTTP/') && valuesOf(headers, 'host').length !== 1) throw new Error(`not one Host: ${line}`);
  const bodyAt = headEnd + 4;
  if (isBodiless || lengths.length + codings.length === 0) {
    return { line, headers, body: Buffer.alloc(0), trailers: [], end: bodyAt };
  }
  if (codings.length === 1) {
    if (codings[0] !== 'chunked') throw new Error(`Transfer-Encoding: ${codings[0]}`);
    const rest = readChunks(bytes, bodyAt);
    return rest && { line, headers, ...rest };
  }
  if (!/^\d{1,15}$/.test(lengths[0] ?? '')) throw new Error(`Content-Length: ${lengths[0]}`);
  const end = bodyAt + Number(lengths[0]);
  return bytes.length < end ? undefined : { line, headers, body: bytes.subarray(bodyAt, end), trailers: [], end };
}

function readChunks(bytes: Buffer, from: number): Pick<StrictMessage, 'body' | 'trailers' | 'end'> | undefined {
  const chunks: Buffer[] = [];
  for (let at = from; ;) {
    const lineEnd = bytes.indexOf('\r\n', at);
    if (lineEnd < 0) return undefined;
    const size = bytes.toString('latin1', at, lineEnd);
    if (!/^[0-9a-f]{1,8}$/i.test(size)) throw new Error(`chunk size ${JSON.stringify(size)}`);
    const length = Number.parseInt(size, 16);
    at = lineEnd + 2;
    if (length === 0) {
      const end = bytes.indexOf('\r\n\r\n', lineEnd);
      if (end < 0) return undefined;
      const lines = end === lineEnd ? [] : bytes.toString('latin1', at, end).split('\r\n');
      return { body: Buffer.concat(chunks), trailers: lines.map(readField), end: end + 4 };
    }
    if (bytes.length < at + length + 2) return undefined;
    if (bytes.toString('latin1', at + length, at + length + 2) !== '\r\n') throw new Error('a chunk without its end');
    chunks.push(bytes.subarray(at, at + length));
    at += length + 2;
  }
}

function readField(line: string): readonly [string, string] {
  const value = FIELD.exec(line)?.[1];
  if (value === undefined) throw new Error(`no field: ${JSON.stringify(line)}`);
  return [line.slice(0, line.indexOf(':')), value];
}

/** The values of a field, whatever the case of its name. */
export function valuesOf(headers: StrictMessage['headers'], name: string): readonly string[] {
  return headers.filter(([each]) => each.toLowerCase() === name).map(([, value]) => value);
}
