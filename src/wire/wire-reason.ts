import { WIRE_REASONS, type WireReason } from '../domain/rejection.ts';
import type { Ending, Ending__Output } from './generated/ait/v1/Ending.ts';
import type { WireReason__Output } from './generated/ait/v1/WireReason.ts';

type GeneratedReason = Exclude<WireReason__Output, 'WIRE_REASON_UNSPECIFIED'>;

/** Fails compilation when the table of rejections and the protocol know different reasons. */
const TO_WIRE = {
  IDENTITY: 'WIRE_REASON_IDENTITY',
  PROOF: 'WIRE_REASON_PROOF',
  DRIFT: 'WIRE_REASON_DRIFT',
  NOT_PERMITTED: 'WIRE_REASON_NOT_PERMITTED',
  REVOKED: 'WIRE_REASON_REVOKED',
  EXPIRED: 'WIRE_REASON_EXPIRED',
  UNAVAILABLE: 'WIRE_REASON_UNAVAILABLE',
  PROTOCOL: 'WIRE_REASON_PROTOCOL',
  WRONG_INSTANCE: 'WIRE_REASON_WRONG_INSTANCE',
  DRAINING: 'WIRE_REASON_DRAINING',
} as const satisfies Record<WireReason, GeneratedReason>;

/** What the peer told us when it refused or ended. */
export interface PeerEnding {
  readonly reason: WireReason;
  readonly correlationId: string;
}

export function toEnding(reason: WireReason, correlationId: string): Ending {
  return { reason: TO_WIRE[reason], correlationId };
}

/** Whatever a peer writes, the result is one of our reasons and a short, printable id. */
export function fromEnding(ending: Ending__Output | null | undefined): PeerEnding {
  const reason = WIRE_REASONS.find((known) => TO_WIRE[known] === ending?.reason) ?? 'PROTOCOL';
  return { reason, correlationId: safeCorrelationId(ending?.correlationId) ?? 'none' };
}

const CORRELATION_ID = /^[A-Za-z0-9_-]{1,64}$/;

/** `undefined` unless it is safe to write into a log line as it is. */
export function safeCorrelationId(text: string | undefined): string | undefined {
  return text !== undefined && CORRELATION_ID.test(text) ? text : undefined;
}
