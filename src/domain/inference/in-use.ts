import type { Difference, DigestTuple } from '../measurement.ts';
import type { Rejection } from '../rejection.ts';

/** Where a prompt in use departs from the approved one that it is nearest to. Never the text itself. */
export interface InUseDifference {
  /** Which part of the request, for example `messages[0].content`; empty where something is missing as a whole. */
  readonly at: string;
  /** Name of the nearest approved prompt. */
  readonly prompt: string;
  /**
   * First differing byte of the canonical UTF-8 texts, from 0; of a template the first that cannot be right, for example
   * where the value of a slot begins. Absent when the approved text is not known here.
   */
  readonly byteOffset?: number;
  /**
   * Lengths of the canonical texts in bytes. 0 says that there is none. `expected` is absent when the approved text is not
   * known here, and for a template, which has no one length.
   */
  readonly observedBytes: number;
  readonly expectedBytes?: number;
  /** Whether only whitespace differs, in all texts. */
  readonly whitespaceOnly?: boolean;
}

/**
 * What one call shows of the agent. `observed` is the measurement at rest with everything in its place that was seen in
 * the call instead: of a mismatch, what peers shall judge this agent by.
 */
export type InUseVerdict =
  | {
      readonly matches: true;
      /** The baseline in force that the call fits, as a whole tuple. */
      readonly baseline: string;
      /** Name of the prompt that was used; `undefined` where the agent is approved to have none. */
      readonly prompt: string | undefined;
      readonly observed: DigestTuple;
    }
  | {
      readonly matches: false;
      /** A drift code, or `BASELINE_MISSING`. */
      readonly rejection: Rejection;
      readonly differences: readonly Difference[];
      /** Set where the prompt differs. */
      readonly where: InUseDifference | undefined;
      /**
       * The part of the request that the rejection is about: `messages[0].content`, `tools[1]`, `model`. Absent where
       * something is missing, and where no part of the request is to blame.
       */
      readonly at?: string;
      readonly observed: DigestTuple;
    };
