import * as v from 'valibot';
import { authoritySection } from './authority-link/authority-section.ts';
import { callsSection } from './calls/calls-section.ts';
import { LOG_LEVELS } from '../platform/logger.ts';
import { durationField, hostPortField, listenField, pathField } from '../platform/config-fields.ts';
import { MINUTE, SECOND, agentName, count, localAddress } from './config-fields.ts';
import { inferenceSection } from './inference/inference-section.ts';
import { measureSection } from './measure/measure-schema.ts';
import { protocolsSection, readBodiesField } from './protocols/protocols-section.ts';

/** Each is a TLS connection with a proof every few seconds, on both sides. */
const MAX_INSTANCES = 64;

const peer = v.strictObject({
  agent: agentName('The peer: its name in this trust domain, or a whole SPIFFE ID.'),
  listen: v.optional(
    localAddress(
      'Where our agent calls this peer: unix:/path or a loopback host:port (port 0: the system chooses). Leave it out where `outbound.listen` is enough.',
    ),
  ),
  address: v.optional(hostPortField("The peer's inbound address. Default: what the authority knows of its instances.")),
  instances: count(
    2,
    'How many instances of the peer our connections are spread over, where the authority knows several and more than one connection is open; each costs both sides a session. One behind `address`, whatever this says.',
    MAX_INSTANCES,
  ),
  eject_after: count(
    5,
    'Failures in a row after which an instance gets no new connections for a while, if others are left; or, where all instances fail, after which connections are refused at once for a while.',
  ),
  read_bodies: readBodiesField('to this peer'),
  card_keys: v.optional(
    pathField(
      "JWK Set (RFC 7517) with the public keys that may sign this peer's A2A agent card, each with its `kid`. Then a card of it without a signature that holds is refused.",
    ),
  ),
  limits: v.optional(
    v.strictObject({
      connections: count(4096, 'Connections of our agent to this peer that may be open at once.'),
      pending: count(1024, 'Of these, those that wait for an instance to take them.'),
      calls: count(8192, 'Calls of our agent to this peer that may be open at once.'),
    }),
    {},
  ),
});

/** The configuration of `ait sidecar`; keys in the file are exactly these. Anything else in the file is an error. */
export const sidecarConfigSchema = v.strictObject({
  state_dir: pathField(
    'Where the sidecar keeps its last good state and its admin socket; made with mode 0700 if missing.',
  ),
  authority: authoritySection,
  inbound: v.optional(
    v.strictObject({
      listen: v.optional(
        listenField('Where other sidecars come in. Default 0.0.0.0:17443; port 0: the system chooses.'),
        '0.0.0.0:17443',
      ),
      advertise: v.optional(
        hostPortField(
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
      read_bodies: readBodiesField('to our agent'),
    }),
  ),
  outbound: v.optional(
    v.strictObject({
      listen: localAddress(
        'One place where our agent calls all its peers, as `<agent>.mesh` or by the name alone; slashes in a name are dots. Each request of HTTP/1.1 says which by `Host` or as to a proxy, the first call of a connection of HTTP/2 by `:authority`, anything else by a CONNECT before it.',
      ),
    }),
  ),
  peers: v.optional(
    v.pipe(v.array(peer), v.maxLength(1000), v.description('One entry for each agent that ours calls.')),
    [],
  ),
  inference: v.optional(inferenceSection),
  socket_mode: v.optional(
    v.pipe(
      v.string(),
      v.regex(/^0[0-7]{3}$/, 'expected an octal mode such as 0660'),
      v.description('Mode of the unix sockets under `peers`, and of the one under `inference`. Default 0660.'),
    ),
    '0660',
  ),
  measure: measureSection,
  admin: v.optional(
    v.strictObject({ socket: v.optional(pathField('The admin socket, mode 0600. Default <state_dir>/admin.sock.')) }),
    {},
  ),
  metrics: v.optional(
    v.strictObject({
      listen: v.optional(
        listenField('Metrics and probes, nothing else. Default 0.0.0.0:17090; port 0: the system chooses.'),
        '0.0.0.0:17090',
      ),
    }),
    {},
  ),
  timing: v.optional(
    v.strictObject({
      connect_timeout: durationField(
        '2s',
        { atLeastMs: 50, atMostMs: MINUTE },
        'For a TCP connection to another sidecar, before another instance is tried. Time enough to lose one packet.',
      ),
      handshake_timeout: durationField('3s', { atLeastMs: 100, atMostMs: MINUTE }, 'For a TLS handshake.'),
      exchange_timeout: durationField(
        '5s',
        { atLeastMs: 100, atMostMs: MINUTE },
        'From the first byte of an exchange to its verdict.',
      ),
      heartbeat: durationField(
        '5s',
        { atLeastMs: 100, atMostMs: MINUTE },
        'Mean time between two proofs of a live session.',
      ),
      lost_after: durationField(
        '15s',
        { atLeastMs: 300, atMostMs: 10 * MINUTE },
        'Silence after which a peer counts as lost.',
      ),
      idle_after: durationField(
        '10m',
        { atLeastMs: SECOND, atMostMs: 24 * 60 * MINUTE },
        'A dialled session without connections is closed after this long.',
      ),
      drain: durationField(
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
  calls: callsSection,
  protocols: protocolsSection,
  access_log: v.pipe(
    v.optional(v.boolean(), false),
    v.description(
      'Whether every call between agents is a line of the log, at level info. Paths are in it, without their query; headers are not. Default false.',
    ),
  ),
  log_level: v.optional(v.picklist(LOG_LEVELS), 'info'),
});

export type SidecarConfig = v.InferOutput<typeof sidecarConfigSchema>;

/** Environment variables over the file: `AIT_SIDECAR_METRICS__LISTEN` is `metrics.listen`. */
export const SIDECAR_ENV_PREFIX = 'AIT_SIDECAR_';
