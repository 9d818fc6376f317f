import { REJECTIONS, type Rejection, type WireReason } from '../../domain/rejection.ts';
import { statusDetails } from '../../wire/error-status.ts';
import { encodeFields } from '../hpack/encoder.ts';
import { KNOWN_NAMES_FIELD, REFUSAL_FIELD } from './reserved-fields.ts';

/** To whom a refusal goes: our own agent may know the code; whoever sits behind another sidecar, only the coarse reason. */
export type Audience = 'own agent' | 'peer';

export interface RefusalTerms {
  readonly rejection: Rejection;
  readonly correlationId: string;
  readonly audience: Audience;
}

/** The numbers under which a refusal goes out. */
export interface RefusalStatus {
  readonly grpc: number;
  readonly http: number;
}

/** What a peer says so is as final as what we find ourselves: with UNAVAILABLE the caller would try again for nothing. */
const FINAL: ReadonlySet<WireReason> = new Set(['DRIFT', 'NOT_PERMITTED', 'REVOKED']);
const DENIED = { grpc: 'PERMISSION_DENIED', http: 403 } as const;

function answerTo({ code, peerSaid }: Rejection) {
  return peerSaid !== undefined && FINAL.has(peerSaid.reason) ? DENIED : REJECTIONS[code];
}

export function refusalStatus(rejection: Rejection): RefusalStatus {
  const { grpc, http } = answerTo(rejection);
  return { grpc: statusDetails({ grpc, code: rejection.code, message: '' }).code, http };
}

/**
 * The header block that answers a refused gRPC call: trailers-only before the head of the answer, else trailers (gRPC
 * over HTTP/2, "Responses"). With `google.rpc.ErrorInfo`, whose reason is what the audience may know.
 *
 * @param answered whether the head of the answer has gone out
 */
export function grpcRefusal({ rejection, correlationId, audience }: RefusalTerms, answered: boolean): Buffer {
  const reason = audience === 'own agent' ? rejection.code : REJECTIONS[rejection.code].wire;
  const known = audience === 'own agent' ? rejection.known : undefined;
  const names = known === undefined ? '' : `; names known here: ${known.join(', ') || 'none'}`;
  const message = `ait-mesh refused this call: ${reason}, correlation id ${correlationId}${names}`;
  const { code, details } = statusDetails({
    grpc: answerTo(rejection).grpc,
    code: reason,
    message,
    metadata: { correlation_id: correlationId, ...(known !== undefined && { known_names: known.join(',') }) },
  });
  return encodeFields([
    ...(answered ? [] : [field(':status', '200'), field('content-type', 'application/grpc')]),
    field('grpc-status', String(code)),
    field('grpc-message', message),
    field('grpc-status-details-bin', details.toString('base64').replace(/=+$/, '')),
    field(REFUSAL_FIELD.reason, reason),
    field(REFUSAL_FIELD.correlationId, correlationId),
  ]);
}

/** The head, and all, of the answer to a refused call that is not gRPC. It has no body: its bytes would need a window. */
export function httpRefusal({ rejection, correlationId, audience }: RefusalTerms): Buffer {
  const { wire } = REJECTIONS[rejection.code];
  const known = audience === 'own agent' ? rejection.known : undefined;
  return encodeFields([
    field(':status', String(answerTo(rejection).http)),
    field('content-length', '0'),
    field(REFUSAL_FIELD.reason, audience === 'own agent' ? rejection.code : wire),
    field(REFUSAL_FIELD.correlationId, correlationId),
    ...(known === undefined ? [] : [field(KNOWN_NAMES_FIELD, known.join(', '))]),
  ]);
}

function field(name: string, value: string): { name: string; value: string } {
  return { name, value };
}
