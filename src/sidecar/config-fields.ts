/** The kinds of value that only a sidecar's configuration has; the others are in `platform/config-fields.ts`. */
import * as v from 'valibot';
import { readListenAddress } from '../platform/listen-address.ts';

export const SECOND = 1000;
export const MINUTE = 60 * SECOND;

const LOOPBACK = /^(127\.\d{1,3}\.\d{1,3}\.\d{1,3}|localhost|\[::1\]):\d{1,5}$/;
/** The kernel's limit for the path of a unix socket, less the NUL. */
const MAX_SOCKET_PATH = 107;

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

/** A positive whole number; at most a million unless said otherwise. */
export const count = (byDefault: number, text: string, atMost = 1_000_000) =>
  v.pipe(
    v.optional(v.number(), byDefault),
    v.integer(),
    v.minValue(1),
    v.maxValue(atMost),
    v.description(`${text} Default ${byDefault}.`),
  );

export const agentName = (text: string) =>
  v.pipe(v.string(), v.regex(/^[A-Za-z0-9._:/-]{1,2048}$/, 'expected an agent name or SPIFFE ID'), v.description(text));
