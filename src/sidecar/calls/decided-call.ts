import type { CallRequest } from '../../dataplane/gate/call.ts';

/** A call as it may stand in logs and reports: bounded, printable, without query and headers. */
export interface DecidedCall {
  readonly method: string;
  readonly path: string;
  /** What metrics call the method. */
  readonly label: string;
  /** Whether it had gone on to the callee. */
  readonly wasUnderWay: boolean;
}

const MAX_PATH = 256;
const MAX_METHOD = 32;
const NOT_PRINTABLE = /[^\x21-\x7e]/g;

export function decidedCall(
  { method, path }: CallRequest,
  facts: Pick<DecidedCall, 'label' | 'wasUnderWay'>,
): DecidedCall {
  return { method: printable(method, MAX_METHOD), path: loggablePath(path), ...facts };
}

/** The path without its query, which may hold secrets. What is not printable ASCII is escaped, what is long is cut. */
export function loggablePath(path: string): string {
  const end = path.search(/[?#]/);
  return printable(end === -1 ? path : path.slice(0, end), MAX_PATH);
}

export function printable(text: string, maxChars: number): string {
  const shown = text.length > maxChars ? text.slice(0, maxChars) : text;
  const escaped = shown.replaceAll(
    NOT_PRINTABLE,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  );
  return text.length > maxChars ? `${escaped}…` : escaped;
}
