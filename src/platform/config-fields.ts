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

/** @returns milliseconds */
export const durationField = (
  byDefault: string,
  { atLeastMs, atMostMs }: { readonly atLeastMs: number; readonly atMostMs: number },
  text: string,
) =>
  v.pipe(
    v.optional(v.string(), byDefault),
    // Before the transformation, or the JSON Schema of the file would not have it.
    v.description(`${text} Default ${byDefault}.`),
    v.rawTransform(({ dataset, addIssue, NEVER }) => {
      try {
        return parseDuration(dataset.value);
      } catch (error) {
        addIssue({ message: error instanceof Error ? error.message : String(error) });
        return NEVER;
      }
    }),
    v.minValue(atLeastMs, `at least ${atLeastMs} ms`),
    v.maxValue(atMostMs, `at most ${atMostMs} ms`),
  );

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
