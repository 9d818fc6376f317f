// Original file: proto/ait/v1/data.proto

import type { DataAccepted as _ait_v1_DataAccepted, DataAccepted__Output as _ait_v1_DataAccepted__Output } from '../../ait/v1/DataAccepted.ts';
import type { Ending as _ait_v1_Ending, Ending__Output as _ait_v1_Ending__Output } from '../../ait/v1/Ending.ts';

/**
 * Accepts or refuses a data connection. After a refusal the connection is closed.
 */
export interface DataAnswer {
  /**
   * The connection is carried from here on.
   */
  'accepted'?: (_ait_v1_DataAccepted | null);
  /**
   * The connection is refused.
   */
  'refusal'?: (_ait_v1_Ending | null);
  /**
   * Exactly one; an answer without either is a refusal.
   */
  'answer'?: "accepted"|"refusal";
}

/**
 * Accepts or refuses a data connection. After a refusal the connection is closed.
 */
export interface DataAnswer__Output {
  /**
   * The connection is carried from here on.
   */
  'accepted'?: (_ait_v1_DataAccepted__Output | null);
  /**
   * The connection is refused.
   */
  'refusal'?: (_ait_v1_Ending__Output | null);
  /**
   * Exactly one; an answer without either is a refusal.
   */
  'answer'?: "accepted"|"refusal";
}
