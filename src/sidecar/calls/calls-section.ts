import * as v from 'valibot';
import { CallMatcher } from '../../domain/calls/call-matcher.ts';
import { readCallPattern, type CallPattern } from '../../domain/calls/call-pattern.ts';
import { countField, durationField, optionalDurationField } from '../../platform/config-fields.ts';
import { MINUTE } from '../config-fields.ts';

const KIB = 1024;
const DAY = 24 * 60 * MINUTE;
const MAX_METHODS = 100;

const methodPattern = v.pipe(
  v.string(),
  v.rawTransform<string, CallPattern>(({ dataset, addIssue, NEVER }) => {
    const reading = readCallPattern(dataset.value);
    if (reading.ok) return reading.pattern;
    addIssue({ message: `the pattern ${reading.problem}` });
    return NEVER;
  }),
);

/** What holds for every call between agents, in both directions. */
export const callsSection = v.optional(
  v.strictObject({
    max_deadline: optionalDurationField(
      { atLeastMs: 1, atMostMs: DAY },
      'How long a gRPC call may take: a longer deadline is lowered to it, and a call without one gets it. Leave it out for calls that stay open, as subscriptions do. 1ms to 1 day.',
    ),
    max_header_bytes: countField(
      64 * KIB,
      { min: KIB, max: KIB * KIB },
      'Bytes of the headers of a call, and of its trailers, counted as HTTP/2 does (32 more for each).',
    ),
    max_concurrent: countField(1000, { min: 1, max: 100_000 }, 'Calls at once on one connection.'),
    stall_timeout: durationField(
      '60s',
      { atLeastMs: 100, atMostMs: DAY },
      'A call whose reader takes nothing for this long is cut; so is a request of HTTP/1.1 of whose body nothing comes for this long, before it is answered.',
    ),
    methods: v.optional(
      v.pipe(
        v.array(methodPattern),
        v.maxLength(MAX_METHODS),
        v.description(
          'Methods that metrics name although no grant does, as patterns such as /search.v1.Search/*; it permits nothing. The first that covers a call counts. Default: none, so that only methods in grants have a name.',
        ),
      ),
      [],
    ),
  }),
  {},
);

interface CallsConfig {
  readonly access_log: boolean;
  readonly calls: v.InferOutput<typeof callsSection>;
}

/** The settings for calls that are in force; the same object for as long as the process runs. */
export interface CallSettings {
  /** `undefined`: no ceiling. */
  readonly maxDeadlineMs: number | undefined;
  readonly maxHeaderBytes: number;
  readonly maxConcurrent: number;
  readonly stallTimeoutMs: number;
  /** What metrics call a method that no grant names. Another object where it changed. */
  readonly named: CallMatcher;
  readonly accessLog: boolean;
}

export function callSettingsOf({ access_log, calls }: CallsConfig): CallSettings {
  return {
    maxDeadlineMs: calls.max_deadline,
    maxHeaderBytes: calls.max_header_bytes,
    maxConcurrent: calls.max_concurrent,
    stallTimeoutMs: calls.stall_timeout,
    named: new CallMatcher(calls.methods.map((pattern) => ({ owner: 'calls.methods', pattern }))),
    accessLog: access_log,
  };
}
