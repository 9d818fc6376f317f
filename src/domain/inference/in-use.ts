import type { Difference, DigestTuple } from '../measurement.ts';
import type { Rejection } from '../rejection.ts';

/** Where a prompt in use departs from the approved one that it is nearest to. Never the text itself. */
export interface InUseDifference {
  /** Which part of the request, for example `messages[0].content`; empty where something is missing as a whole. */
  readonly at: string;
  /** Name of the nearest approved prompt. */
  readonly prompt: string;
  /** First differing byte of the canonical UTF-8 texts, from 0; absent when the approved text is not known here. */
  readonly byteOffset?: number;
  /** Lengths of the canonical texts in bytes; `expected` is absent when the approved text is not known here. */
  readonly observedBytes: number;
  readonly expectedBytes?: number;
  /** Whether only whitespace differs. */
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
      readonly where: InUseDifference | undefined;
      readonly observed: DigestTuple;
    };
