import { JOIN_REFUSALS, type JoinRefusalCode } from '../domain/join-refusals.ts';
import type { MetricsRegistry } from '../platform/metrics-registry.ts';

export const JOIN_RESULTS = ['ok', ...(Object.keys(JOIN_REFUSALS) as JoinRefusalCode[])] as const;
export const RENEWAL_RESULTS = ['ok', 'repeated', 'RENEWAL_FORKED', 'refused'] as const;
export const REPORTED_OUTCOMES = ['admitted', 'denied', 'terminated'] as const;

export type AuthorityMetrics = ReturnType<typeof createAuthorityMetrics>;

/** Every metric of the authority, in one place; the reference page is generated from it. */
export function createAuthorityMetrics(registry: MetricsRegistry) {
  return {
    joins: registry.counter({
      name: 'joins_total',
      help: 'Requests to join, by how they ended: ok, or the code of the refusal.',
      labels: { result: JOIN_RESULTS },
    }),
    issuerKeyFetches: registry.counter({
      name: 'issuer_key_fetches_total',
      help: 'Fetches of the keys by which a cluster signs ServiceAccount tokens; limited: put off, there were too many.',
      labels: { result: ['ok', 'failed', 'limited'] },
    }),
    renewals: registry.counter({
      name: 'svid_renewals_total',
      help: 'Renewals of SVIDs; RENEWAL_FORKED is an alarm: two parties hold one key.',
      labels: { result: RENEWAL_RESULTS },
    }),
    aitsIssued: registry.counter({
      name: 'aits_issued_total',
      help: 'Requests for Agent Identity Tokens.',
      labels: { result: ['ok', 'refused'] },
    }),
    callsRefused: registry.counter({
      name: 'authority_calls_refused_total',
      help: 'Calls refused because the caller did not prove to be a live, unrevoked instance.',
    }),
    connections: registry.gauge({ name: 'authority_connections', help: 'Open TLS connections.' }),
    connectionsRefused: registry.counter({
      name: 'authority_connections_refused_total',
      help: 'Connections that were ended before any call.',
      labels: { reason: ['tls', 'alpn', 'resumed', 'cap'] },
    }),
    watchers: registry.gauge({ name: 'watchers', help: 'Open Watch streams.' }),
    headsSigned: registry.counter({
      name: 'state_heads_signed_total',
      help: 'State heads signed; a refresh has the content of the head before.',
      labels: { kind: ['new', 'refresh'] },
    }),
    updatesSkipped: registry.counter({
      name: 'state_updates_skipped_total',
      help: 'Updates that a slow watcher never saw, because a newer one took their place.',
    }),
    policyProblems: registry.gauge({
      name: 'policy_problems',
      help: 'Problems in the policy directory now; an error keeps its file from having any effect.',
      labels: { severity: ['error', 'warning'] },
    }),
    policyReloads: registry.counter({
      name: 'policy_reloads_total',
      help: 'Readings of the policy directory.',
      labels: { result: ['changed', 'unchanged', 'failed'] },
    }),
    reportedDecisions: registry.counter({
      name: 'reported_decisions_total',
      help: 'Decisions that sidecars reported, by outcome and rejection code (none for admitted).',
      labels: { outcome: REPORTED_OUTCOMES, code: 'configured' },
    }),
    reportsDropped: registry.counter({
      name: 'reported_decisions_dropped_total',
      help: 'Decisions that sidecars had to drop because their queue was full.',
    }),
    instances: registry.gauge({ name: 'instances', help: 'Instances with a certificate that is still valid.' }),
    certificateExpiry: registry.gauge({
      name: 'certificate_expiry_timestamp_seconds',
      help: "When the authority's own certificates end.",
      labels: { kind: ['root', 'server'] },
    }),
  };
}
