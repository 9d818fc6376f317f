import { isFieldName, isFieldValue } from '../gate/field-rules.ts';

/** Fields of one message: name, value, name, value …, as they came. */
export type FlatFields = string[];

/** Is given each field. */
export interface FieldTaker {
  /** @returns what is wrong with it, in one line; `undefined`: nothing */
  take(lowerCaseName: string, name: string, value: string): string | undefined;
}

/**
 * Reads field lines strictly (RFC 9112, section 5): CRLF and nothing else between them, no blank before the colon, no line
 * that goes on the one before (obs-fold).
 *
 * @param text without the line break of the last one
 * @param from where the first line begins
 * @returns what is wrong, in one line; `undefined`: nothing
 */
export function readHeaderLines(text: string, from: number, taker: FieldTaker): string | undefined {
  let at = from;
  while (at < text.length) {
    let end = text.indexOf('\r\n', at);
    if (end < 0) end = text.length;
    const colon = text.indexOf(':', at);
    if (colon < 0 || colon >= end) return 'a line that is no field';
    const name = text.slice(at, colon);
    const lower = name.toLowerCase();
    if (!isFieldName(lower)) return 'a field name with characters that it may not have';
    const value = withoutBlanks(text, colon + 1, end);
    if (!isFieldValue(value)) return `the value of ${lower} has characters that it may not have`;
    const problem = taker.take(lower, name, value);
    if (problem !== undefined) return problem;
    at = end + 2;
  }
  return undefined;
}

function withoutBlanks(text: string, from: number, to: number): string {
  let [start, end] = [from, to];
  while (start < end && isBlank(text.charCodeAt(start))) start += 1;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end -= 1;
  return text.slice(start, end);
}

function isBlank(code: number): boolean {
  return code === 32 || code === 9;
}
