import type { Dimension } from '../../domain/measurement.ts';
import { rejection, type Rejection, type RejectionCode } from '../../domain/rejection.ts';

/** Why a source gave no digest: a closed set, since it is the label of a metric. */
export const FAILURE_REASONS = [
  'missing',
  'unreadable',
  'empty',
  'not_utf8',
  'binary',
  'too_large',
  'malformed',
  'unstable',
  'not_a_file',
] as const;
export type FailureReason = (typeof FAILURE_REASONS)[number];

const CODES = {
  missing: 'MEASUREMENT_UNREADABLE',
  unreadable: 'MEASUREMENT_UNREADABLE',
  not_a_file: 'MEASUREMENT_UNREADABLE',
  empty: 'MEASUREMENT_INVALID',
  not_utf8: 'MEASUREMENT_INVALID',
  binary: 'MEASUREMENT_INVALID',
  too_large: 'MEASUREMENT_INVALID',
  malformed: 'MEASUREMENT_INVALID',
  unstable: 'MEASUREMENT_UNSTABLE',
} as const satisfies Record<FailureReason, RejectionCode>;

/** Thrown by whatever reads a source, caught where the dimension is read: it never leaves the measurer. */
export class MeasurementProblem extends Error {
  override readonly name = 'MeasurementProblem';
  readonly reason: FailureReason;

  /** @param message one line that names the file and the rule, and repeats none of the content. */
  constructor(reason: FailureReason, message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}

/** What the operator is told of a dimension that could not be measured. */
export function problemRejection(dimension: Dimension, reason: FailureReason, detail: string): Rejection {
  return rejection(CODES[reason], `${dimension}: ${detail}`);
}

/** Turns an error of the file system into a problem with the path. */
export function fileProblem(path: string, error: unknown): MeasurementProblem {
  const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
  switch (code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return new MeasurementProblem('missing', `${path}: does not exist`, { cause: error });
    case 'ENXIO':
    case 'EISDIR':
      return new MeasurementProblem('not_a_file', `${path}: not a regular file`, { cause: error });
    case 'ELOOP':
      return new MeasurementProblem('unreadable', `${path}: symbolic links go round in a circle`, { cause: error });
    default:
      return new MeasurementProblem('unreadable', `${path}: cannot be read (${code})`, { cause: error });
  }
}
