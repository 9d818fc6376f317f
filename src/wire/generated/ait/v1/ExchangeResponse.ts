// Original file: proto/ait/v1/exchange.proto

import type { Hello as _ait_v1_Hello, Hello__Output as _ait_v1_Hello__Output } from '../../ait/v1/Hello.ts';
import type { Proof as _ait_v1_Proof, Proof__Output as _ait_v1_Proof__Output } from '../../ait/v1/Proof.ts';
import type { Accept as _ait_v1_Accept, Accept__Output as _ait_v1_Accept__Output } from '../../ait/v1/Accept.ts';
import type { Ending as _ait_v1_Ending, Ending__Output as _ait_v1_Ending__Output } from '../../ait/v1/Ending.ts';
import type { Heartbeat as _ait_v1_Heartbeat, Heartbeat__Output as _ait_v1_Heartbeat__Output } from '../../ait/v1/Heartbeat.ts';
import type { AitUpdate as _ait_v1_AitUpdate, AitUpdate__Output as _ait_v1_AitUpdate__Output } from '../../ait/v1/AitUpdate.ts';
import type { Reconnect as _ait_v1_Reconnect, Reconnect__Output as _ait_v1_Reconnect__Output } from '../../ait/v1/Reconnect.ts';

/**
 * What the acceptor sends. At most 64 KiB.
 */
export interface ExchangeResponse {
  /**
   * First message, in answer to the dialler's.
   */
  'hello'?: (_ait_v1_Hello | null);
  /**
   * Second message, sent with the Hello.
   */
  'proof'?: (_ait_v1_Proof | null);
  /**
   * The acceptor admits the dialler.
   */
  'accept'?: (_ait_v1_Accept | null);
  /**
   * The acceptor refuses the dialler.
   */
  'reject'?: (_ait_v1_Ending | null);
  /**
   * Liveness and fresh measurement of an accepted session.
   */
  'heartbeat'?: (_ait_v1_Heartbeat | null);
  /**
   * A renewed token of an accepted session.
   */
  'aitUpdate'?: (_ait_v1_AitUpdate | null);
  /**
   * The session is over.
   */
  'goodbye'?: (_ait_v1_Ending | null);
  /**
   * The acceptor has a new certificate: the dialler continues the session on a new connection.
   */
  'reconnect'?: (_ait_v1_Reconnect | null);
  /**
   * Exactly one.
   */
  'message'?: "hello"|"proof"|"accept"|"reject"|"heartbeat"|"aitUpdate"|"goodbye"|"reconnect";
}

/**
 * What the acceptor sends. At most 64 KiB.
 */
export interface ExchangeResponse__Output {
  /**
   * First message, in answer to the dialler's.
   */
  'hello'?: (_ait_v1_Hello__Output | null);
  /**
   * Second message, sent with the Hello.
   */
  'proof'?: (_ait_v1_Proof__Output | null);
  /**
   * The acceptor admits the dialler.
   */
  'accept'?: (_ait_v1_Accept__Output | null);
  /**
   * The acceptor refuses the dialler.
   */
  'reject'?: (_ait_v1_Ending__Output | null);
  /**
   * Liveness and fresh measurement of an accepted session.
   */
  'heartbeat'?: (_ait_v1_Heartbeat__Output | null);
  /**
   * A renewed token of an accepted session.
   */
  'aitUpdate'?: (_ait_v1_AitUpdate__Output | null);
  /**
   * The session is over.
   */
  'goodbye'?: (_ait_v1_Ending__Output | null);
  /**
   * The acceptor has a new certificate: the dialler continues the session on a new connection.
   */
  'reconnect'?: (_ait_v1_Reconnect__Output | null);
  /**
   * Exactly one.
   */
  'message'?: "hello"|"proof"|"accept"|"reject"|"heartbeat"|"aitUpdate"|"goodbye"|"reconnect";
}
