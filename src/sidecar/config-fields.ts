/** The kinds of value that more than one section of a sidecar's configuration has. */
import * as v from 'valibot';
import { parseDuration } from '../domain/duration.ts';
import { isHostPort } from '../domain/host-port.ts';
import { readListenAddress } from '../platform/listen-address.ts';

export const SECOND = 1000;
export const MINUTE = 60 * SECOND;

const LOOPBACK = /^(127\.\d{1,3}\.\d{1,3}\.\d{1,3}|localhost|\[::1\]):\d{1,5}$/;
/** The kernel's limit for the path of a unix socket, less the NUL. */
const MAX_SOCKET_PATH = 107;

/** An address that can be dialled. */
export const hostPort = (text: string) =>
  v.pipe(
    v.string(),
    v.check((address) => isHostPort(address), 'expected host:port, for example 10.0.0.7:17443'),
    v.description(text),
  );

/** As {@link hostPort}, and port 0 for any that is free. */
export const listenAddress = (text: string) =>
  v.pipe(
    v.string(),
    v.check((address) => readListenAddress(address) !== undefined, 'expected host:port, port 0 to 65535'),
    v.description(text),
  );

/** Plaintext stays on this machine: a unix socket or loopback, nothing else. */
export const localAddress = (text: string) =>
  v.pipe(
    v.string(),
    v.check(
      (address) => address.startsWith('unix:/') || (LOOPBACK.test(address) && readListenAddress(address) !== undefined),
      'expected unix:/absolute/path or a loopback address such as 127.0.0.1:17001: the agent side is plaintext',
    ),
    v.check(
      (address) => !address.startsWith('unix:') || Buffer.byteLength(address) - 'unix:'.length <= MAX_SOCKET_PATH,
      `the path of a unix socket has at most ${MAX_SOCKET_PATH} bytes`,
    ),
    v.description(text),
  );

/** A duration such as `10s`, read as milliseconds. */
export const duration = (
  byDefault: string,
  { atLeastMs, atMostMs }: { atLeastMs: number; atMostMs: number },
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

/** A positive whole number. */
export const count = (byDefault: number, text: string) =>
  v.pipe(
    v.optional(v.number(), byDefault),
    v.integer(),
    v.minValue(1),
    v.maxValue(1_000_000),
    v.description(`${text} Default ${byDefault}.`),
  );

export const path = (text: string) => v.pipe(v.string(), v.minLength(1), v.maxLength(4096), v.description(text));

export const agentName = (text: string) =>
  v.pipe(v.string(), v.regex(/^[A-Za-z0-9._:/-]{1,2048}$/, 'expected an agent name or SPIFFE ID'), v.description(text));
