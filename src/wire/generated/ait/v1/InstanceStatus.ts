// Original file: proto/ait/v1/authority.proto

import type { Blocker as _ait_v1_Blocker, Blocker__Output as _ait_v1_Blocker__Output } from '../../ait/v1/Blocker.ts';

/**
 * How one instance is doing.
 */
export interface InstanceStatus {
  /**
   * Version of the sidecar.
   */
  'version'?: (string);
  /**
   * The measurement as JSON, in the shape of the token's `agent.measurement` claim; empty where there is none.
   */
  'measurement'?: (string);
  /**
   * Id of the baseline that it equals; empty where it equals none.
   */
  'baseline'?: (string);
  /**
   * Rejection code by which the sidecar refuses its own agent; empty where it is in order.
   */
  'rejectionCode'?: (string);
  /**
   * What keeps it from being ready.
   */
  'blockers'?: (_ait_v1_Blocker)[];
}

/**
 * How one instance is doing.
 */
export interface InstanceStatus__Output {
  /**
   * Version of the sidecar.
   */
  'version': (string);
  /**
   * The measurement as JSON, in the shape of the token's `agent.measurement` claim; empty where there is none.
   */
  'measurement': (string);
  /**
   * Id of the baseline that it equals; empty where it equals none.
   */
  'baseline': (string);
  /**
   * Rejection code by which the sidecar refuses its own agent; empty where it is in order.
   */
  'rejectionCode': (string);
  /**
   * What keeps it from being ready.
   */
  'blockers': (_ait_v1_Blocker__Output)[];
}
