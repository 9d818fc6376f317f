import * as v from 'valibot';
import { parseTrustDomain } from '../domain/agent-id.ts';
import { parseDuration } from '../domain/duration.ts';
import { isHostPort } from '../domain/host-port.ts';
import { isMeshError } from '../domain/mesh-error.ts';
import { DEFAULT_STATE_DIR } from './default-state-dir.ts';
import { kubernetesSection } from './kubernetes/kubernetes-config.ts';
import { LOG_LEVELS } from '../platform/logger.ts';
import { readListenAddress, type HostPort } from '../platform/listen-address.ts';

/** Variables are this and the setting in upper case: `AIT_AUTHORITY_STATE_DIR`. */
export const AUTHORITY_ENV_PREFIX = 'AIT_AUTHORITY_';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

function duration(name: string, { minMs, maxMs }: { readonly minMs: number; readonly maxMs: number }) {
  return v.pipe(
    v.string(),
    v.rawTransform(({ dataset, addIssue, NEVER }) => {
      try {
        const ms = parseDuration(dataset.value);
        if (ms >= minMs && ms <= maxMs) return ms;
        addIssue({ message: `is ${dataset.value}; ${name} takes ${minMs / 1000} s to ${maxMs / 1000} s` });
      } catch (error) {
        if (!isMeshError(error)) throw error;
        addIssue({ message: `is not a duration such as 10s, 5m, 1h or 30d` });
      }
      return NEVER;
    }),
  );
}

/** As {@link duration}, and 0 for never. */
function durationOrNever(name: string, range: { readonly minMs: number; readonly maxMs: number }) {
  return v.pipe(
    v.string(),
    v.rawTransform(({ dataset, addIssue, NEVER }) => {
      if (/^0(ms|s|m|h|d)$/.test(dataset.value)) return 0;
      const read = v.safeParse(duration(name, range), dataset.value);
      if (read.success) return read.output;
      addIssue({ message: `${read.issues[0].message}, or 0s for never` });
      return NEVER;
    }),
  );
}

const listenAddress = v.pipe(
  v.string(),
  v.rawTransform(({ dataset, addIssue, NEVER }): HostPort => {
    const address = readListenAddress(dataset.value);
    if (address !== undefined) return address;
    addIssue({ message: 'is not host:port (IPv6 in brackets, port 0 to 65535)' });
    return NEVER;
  }),
);

const trustDomain = v.pipe(
  v.string(),
  v.rawTransform(({ dataset, addIssue, NEVER }) => {
    try {
      return parseTrustDomain(dataset.value);
    } catch (error) {
      if (!isMeshError(error)) throw error;
      addIssue({ message: 'is not a trust domain: lower-case letters, digits, dots, dashes and underscores' });
      return NEVER;
    }
  }),
);

/** The authority's configuration. Every description goes to the reference page and the JSON Schema. */
export const AuthorityConfigSchema = v.strictObject({
  trust_domain: v.pipe(
    trustDomain,
    v.description('Name of the mesh, in the form of a SPIFFE trust domain, for example `acme.example`. Cannot change.'),
  ),
  listen: v.pipe(
    v.optional(listenAddress, '127.0.0.1:17100'),
    v.description('Where sidecars reach the gRPC services, `host:port`. Port 0 takes any free one.'),
  ),
  advertise: v.pipe(
    v.optional(
      v.pipe(
        v.string(),
        v.check((text) => isHostPort(text), 'is not host:port'),
      ),
    ),
    v.description('`host:port` that join credentials carry. Default: the address that `listen` got.'),
  ),
  operators_listen: v.pipe(
    v.optional(listenAddress, '127.0.0.1:17102'),
    v.description(
      'Where operators ask over HTTPS with a certificate of their own, `host:port`. Port 0 takes any free one.',
    ),
  ),
  operators_advertise: v.pipe(
    v.optional(
      v.pipe(
        v.string(),
        v.check((text) => isHostPort(text), 'is not host:port'),
      ),
    ),
    v.description("`host:port` that operators' files carry. Default: the address that `operators_listen` got."),
  ),
  state_dir: v.pipe(
    v.optional(v.pipe(v.string(), v.minLength(1)), DEFAULT_STATE_DIR),
    v.description(
      'Directory of the state: root key, credentials, instances, revisions. Mode 0700; one process at a time.',
    ),
  ),
  policy_dir: v.pipe(
    v.pipe(v.string(), v.minLength(1)),
    v.description('Directory of the YAML files with agents, baselines, grants and revocations; read only.'),
  ),
  svid_lifetime: v.pipe(
    v.optional(duration('svid_lifetime', { minMs: 2_000, maxMs: 30 * DAY_MS })),
    v.description(
      'How long a certificate lives; sidecars renew at half of it. 2s to 30d. Default: three times `outage_tolerance`; below 2.5 times, certificates may end first.',
    ),
  ),
  outage_tolerance: v.pipe(
    v.optional(duration('outage_tolerance', { minMs: 2_000, maxMs: 7 * DAY_MS }), '1h'),
    v.description(
      'How long sidecars go on when they cannot reach the authority: life of a signed state. AITs live 1.5 times as long. 2s to 7d.',
    ),
  ),
  key_rotation: v.pipe(
    v.optional(durationOrNever('key_rotation', { minMs: 10_000, maxMs: 3650 * DAY_MS }), '90d'),
    v.description(
      'Age at which the keys that sign AITs and state are replaced, with overlap. 10s to 3650d; `0s`: never. A root is replaced at two thirds of its life whatever this says.',
    ),
  ),
  state_epoch: v.pipe(
    v.optional(v.pipe(v.number(), v.integer(), v.minValue(1)), 1),
    v.description(
      'Raise it by one after restoring `state_dir` from a backup, so that sidecars accept the older revisions.',
    ),
  ),
  policy_interval: v.pipe(
    v.optional(duration('policy_interval', { minMs: 1_000, maxMs: 60 * MINUTE_MS }), '30s'),
    v.description('How often `policy_dir` is read though no change was noticed. 1s to 1h.'),
  ),
  decision_retention: v.pipe(
    v.optional(duration('decision_retention', { minMs: 1_000, maxMs: 366 * DAY_MS }), '7d'),
    v.description('How long decisions that sidecars report are kept, for `ait explain`. 1s to 366d.'),
  ),
  decision_limit: v.pipe(
    v.optional(v.pipe(v.number(), v.integer(), v.minValue(100), v.maxValue(1_000_000)), 50_000),
    v.description('How many of them are kept at most; the oldest go first. 100 to 1000000.'),
  ),
  impact_limit: v.pipe(
    v.optional(v.pipe(v.number(), v.minValue(0), v.maxValue(100)), 5),
    v.description(
      'The brake: a change of policy that would end more than so many percent of the open sessions is held, or refused, until somebody accepts it. Revocations are never held up. 0 to 100; 100 switches the brake off.',
    ),
  ),
  kubernetes: kubernetesSection,
  metrics_listen: v.pipe(
    v.optional(listenAddress, '127.0.0.1:17190'),
    v.description('Where `/metrics`, `/livez` and `/readyz` are served, without TLS. Port 0 takes any free one.'),
  ),
  log_level: v.pipe(
    v.optional(v.picklist(LOG_LEVELS), 'info'),
    v.description('Lowest level of the log: trace, debug, info, warn, error, fatal or silent.'),
  ),
});

/** Validated, defaulted; durations in ms. */
export type AuthorityConfig = v.InferOutput<typeof AuthorityConfigSchema>;
export type AuthorityConfigInput = v.InferInput<typeof AuthorityConfigSchema>;
