import * as v from 'valibot';
import { authoritySection } from './authority-link/authority-section.ts';
import { parseDuration } from '../domain/duration.ts';
import { isHostPort } from '../domain/host-port.ts';
import { readListenAddress } from '../platform/listen-address.ts';
import { LOG_LEVELS } from '../platform/logger.ts';
import { measureSection } from './measure/measure-schema.ts';

const LOOPBACK = /^(127\.\d{1,3}\.\d{1,3}\.\d{1,3}|localhost|\[::1\]):\d{1,5}$/;
/** The kernel's limit for the path of a unix socket, less the NUL. */
const MAX_SOCKET_PATH = 107;

const hostPort = (text: string) =>
  v.pipe(
    v.string(),
    v.check((address) => isHostPort(address), 'expected host:port, for example 10.0.0.7:17443'),
    v.description(text),
  );

/** As {@link hostPort}, and port 0 for any that is free. */
const listenAddress = (text: string) =>
  v.pipe(
    v.string(),
    v.check((address) => readListenAddress(address) !== undefined, 'expected host:port, port 0 to 65535'),
    v.description(text),
  );

/** Plaintext stays on this machine: a unix socket or loopback, nothing else. */
const localAddress = (text: string) =>
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

const duration = (byDefault: string, { atLeastMs, atMostMs }: { atLeastMs: number; atMostMs: number }, text: string) =>
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

const count = (byDefault: number, text: string) =>
  v.pipe(
    v.optional(v.number(), byDefault),
    v.integer(),
    v.minValue(1),
    v.maxValue(1_000_000),
    v.description(`${text} Default ${byDefault}.`),
  );

const path = (text: string) => v.pipe(v.string(), v.minLength(1), v.maxLength(4096), v.description(text));

const agentName = (text: string) =>
  v.pipe(v.string(), v.regex(/^[A-Za-z0-9._:/-]{1,2048}$/, 'expected an agent name or SPIFFE ID'), v.description(text));

const peer = v.strictObject({
  agent: agentName('The peer: its name in this trust domain, or a whole SPIFFE ID.'),
  listen: localAddress(
    'Where our agent calls this peer: unix:/path or a loopback host:port (port 0: the system chooses).',
  ),
  address: v.optional(hostPort("The peer's inbound address. Default: what the authority knows of its instances.")),
});

const SECOND = 1000;
const MINUTE = 60 * SECOND;

/** The configuration of `ait sidecar`; keys in the file are exactly these. Anything else in the file is an error. */
export const sidecarConfigSchema = v.strictObject({
  state_dir: path('Where the sidecar keeps its last good state and its admin socket; made with mode 0700 if missing.'),
  authority: authoritySection,
  inbound: v.optional(
    v.strictObject({
      listen: v.optional(
        listenAddress('Where other sidecars come in. Default 0.0.0.0:17443; port 0: the system chooses.'),
        '0.0.0.0:17443',
      ),
      advertise: v.optional(
        hostPort(
          'The address at which this very instance is reached, never a balancer. Default: the bound address, if it is not a wildcard.',
        ),
      ),
    }),
    {},
  ),
  app: v.optional(
    v.strictObject({
      address: localAddress('Where our agent listens. Leave `app` out for an agent that takes no calls.'),
      allow_reachable: v.pipe(
        v.optional(v.boolean(), false),
        v.description(
          'Whether to be ready although the agent listens on more than loopback, so that it can be called without this sidecar. Default false.',
        ),
      ),
    }),
  ),
  peers: v.optional(
    v.pipe(v.array(peer), v.maxLength(1000), v.description('One entry for each agent that ours calls.')),
    [],
  ),
  socket_mode: v.optional(
    v.pipe(
      v.string(),
      v.regex(/^0[0-7]{3}$/, 'expected an octal mode such as 0660'),
      v.description('Mode of the unix sockets under `peers`. Default 0660.'),
    ),
    '0660',
  ),
  measure: measureSection,
  admin: v.optional(
    v.strictObject({ socket: v.optional(path('The admin socket, mode 0600. Default <state_dir>/admin.sock.')) }),
    {},
  ),
  metrics: v.optional(
    v.strictObject({
      listen: v.optional(
        listenAddress('Metrics and probes, nothing else. Default 0.0.0.0:17090; port 0: the system chooses.'),
        '0.0.0.0:17090',
      ),
    }),
    {},
  ),
  timing: v.optional(
    v.strictObject({
      handshake_timeout: duration('3s', { atLeastMs: 100, atMostMs: MINUTE }, 'For a TLS handshake.'),
      exchange_timeout: duration(
        '5s',
        { atLeastMs: 100, atMostMs: MINUTE },
        'From the first byte of an exchange to its verdict.',
      ),
      heartbeat: duration(
        '5s',
        { atLeastMs: 100, atMostMs: MINUTE },
        'Mean time between two proofs of a live session.',
      ),
      lost_after: duration(
        '15s',
        { atLeastMs: 300, atMostMs: 10 * MINUTE },
        'Silence after which a peer counts as lost.',
      ),
      idle_after: duration(
        '10m',
        { atLeastMs: SECOND, atMostMs: 24 * 60 * MINUTE },
        'A dialled session without connections is closed after this long.',
      ),
      drain: duration(
        '10s',
        { atLeastMs: 0, atMostMs: 60 * MINUTE },
        'How long open connections may go on after SIGTERM.',
      ),
    }),
    {},
  ),
  limits: v.optional(
    v.strictObject({
      unauthenticated: count(1024, 'Inbound connections that have proven nothing yet, in all.'),
      unauthenticated_per_address: count(256, 'The same, from one address.'),
      unauthenticated_per_svid: count(32, 'The same, under one certificate.'),
      connections_per_session: count(
        2048,
        'Inbound data connections of one session: one peer cannot take all the places there are.',
      ),
    }),
    {},
  ),
  log_level: v.optional(v.picklist(LOG_LEVELS), 'info'),
});

export type SidecarConfig = v.InferOutput<typeof sidecarConfigSchema>;

/** Environment variables over the file: `AIT_SIDECAR_METRICS__LISTEN` is `metrics.listen`. */
export const SIDECAR_ENV_PREFIX = 'AIT_SIDECAR_';
