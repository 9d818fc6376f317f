import { STATUS_CODES } from 'node:http';
import { REJECTIONS } from '../../domain/rejection.ts';
import { refusalStatus, type RefusalTerms } from '../gate/refusal.ts';
import { KNOWN_NAMES_FIELD, REFUSAL_FIELD } from '../gate/reserved-fields.ts';
import type { FlatFields } from './header-lines.ts';

/** The answer to a refused request (RFC 9457). */
export interface ProblemAnswer {
  readonly status: number;
  readonly fields: FlatFields;
  readonly body: string;
}

/**
 * Names the cause and what to do about it, as far as the audience may know: our own agent the code, the detail where it
 * speaks of the call, the fix, and names that would have done; a peer the coarse reason alone. Both get the correlation id
 * of the log lines.
 */
export function problemAnswer({ rejection, correlationId, audience }: RefusalTerms): ProblemAnswer {
  const status = refusalStatus(rejection).http;
  const { wire, phase, meaning, action } = REJECTIONS[rejection.code];
  const isOurs = audience === 'own agent';
  const known = isOurs ? rejection.known : undefined;
  const code = isOurs ? rejection.code : wire;
  const problem = {
    type: `urn:ait-mesh:rejection:${code}`,
    title: `ait-mesh refused this call: ${code}`,
    status,
    code,
    ...(isOurs && { detail: phase === 'call' ? `${meaning} Here: ${rejection.detail}.` : meaning, action }),
    correlation_id: correlationId,
    ...(known !== undefined && { known_names: known }),
  };
  const body = `${JSON.stringify(problem)}\n`;
  const fields = [
    'Content-Type',
    'application/problem+json',
    'Content-Length',
    String(Buffer.byteLength(body)),
    'Cache-Control',
    'no-store',
    REFUSAL_FIELD.reason,
    code,
    REFUSAL_FIELD.correlationId,
    correlationId,
    ...(known === undefined ? [] : [KNOWN_NAMES_FIELD, known.join(', ')]),
  ];
  return { status, fields, body };
}

/** The same as the bytes of a whole answer, after which the connection closes. */
export function lastAnswer(terms: RefusalTerms): Buffer {
  const { status, fields, body } = problemAnswer(terms);
  let head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n`;
  for (let i = 0; i + 1 < fields.length; i += 2) head += `${fields[i]}: ${fields[i + 1]}\r\n`;
  return Buffer.from(`${head}Connection: close\r\n\r\n${body}`);
}
