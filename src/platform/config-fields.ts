import * as v from 'valibot';
import { parseDuration } from '../domain/duration.ts';
import { isHostPort } from '../domain/host-port.ts';
import { readListenAddress } from './listen-address.ts';

/** `host:port` of somebody else. */
export const hostPortField = (text: string) =>
  v.pipe(
    v.string(),
    v.check((address) => isHostPort(address), 'expected host:port, for example 10.0.0.7:17100'),
    v.description(text),
  );

/** `host:port` to listen on; port 0 for any that is free. */
export const listenField = (text: string) =>
  v.pipe(
    v.string(),
    v.check((address) => readListenAddress(address) !== undefined, 'expected host:port, port 0 to 65535'),
    v.description(text),
  );

interface DurationBounds {
  readonly atLeastMs: number;
  readonly atMostMs: number;
}

interface DurationBounds {
  readonly atLeastMs: number;
  readonly atMostMs: number;
}

/** @returns milliseconds */
export const durationField = (byDefault: string, { atLeastMs, atMostMs }: DurationBounds, text: string) =>
  v.pipe(
    v.optional(v.string(), byDefault),
    // Before the transformation, or the JSON Schema of the file would not have it.
    v.description(`${text} Default ${byDefault}.`),
    toMilliseconds(),
    v.minValue(atLeastMs, `at least ${atLeastMs} ms`),
    v.maxValue(atMostMs, `at most ${atMostMs} ms`),
  );

/** As {@link durationField}, without a default. @returns milliseconds, or `undefined` where it was left out */
export const optionalDurationField = ({ atLeastMs, atMostMs }: DurationBounds, text: string) =>
  v.optional(
    v.pipe(
      v.string(),
      v.description(text),
      toMilliseconds(),
      v.minValue(atLeastMs, `at least ${atLeastMs} ms`),
      v.maxValue(atMostMs, `at most ${atMostMs} ms`),
    ),
  );

const toMilliseconds = () =>
  v.rawTransform<string, number>(({ dataset, addIssue, NEVER }) => {
    try {
      return parseDuration(dataset.value);
    } catch (error) {
      addIssue({ message: error instanceof Error ? error.message : String(error) });
      return NEVER;
    }
  });

/** A whole number. */
export const countField = (
  byDefault: number,
  { min, max }: { readonly min: number; readonly max: number },
  text: string,
) =>
  v.pipe(
    v.optional(v.number(), byDefault),
    v.integer(),
    v.minValue(min),
    v.maxValue(max),
    v.description(`${text} ${min} to ${max}, default ${byDefault}.`),
  );

export const pathField = (text: string) => v.pipe(v.string(), v.minLength(1), v.maxLength(4096), v.description(text));
