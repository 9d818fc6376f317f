import { PROBLEM_SEVERITIES } from './policy/policy-yaml.ts';
import { CHANGE_SOURCES } from './policy/policy-revision.ts';
import { NOTICE_KINDS } from './policy/notices.ts';
import { JOIN_REFUSALS, type JoinRefusalCode } from '../domain/join-refusals.ts';
import type { MetricsRegistry } from '../platform/metrics-registry.ts';
import { KEY_KINDS, KEY_PHASES } from './keys/key-ring.ts';

export const JOIN_RESULTS = ['ok', ...(Object.keys(JOIN_REFUSALS) as JoinRefusalCode[])] as const;
export const RENEWAL_RESULTS = ['ok', 'repeated', 'RENEWAL_FORKED', 'refused'] as const;
export const REPORTED_OUTCOMES = ['admitted', 'denied', 'terminated'] as const;

export const DECISION_DROPS = ['rate', 'queue', 'write'] as const;
const OPERATOR_REQUEST_RESULTS = ['ok', 'invalid', 'refused', 'failed', 'tls'] as const;

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
    connectionsOpened: registry.counter({
      name: 'authority_connections_opened_total',
      help: 'Connections that reached the gRPC port, refused ones included; a jump is a fleet that comes back.',
    }),
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
      help: 'Problems in the policy directory now; an error keeps its file from having any effect, and so does being held.',
      labels: { severity: PROBLEM_SEVERITIES },
    }),
    policyRevision: registry.gauge({ name: 'policy_revision', help: 'Number of the policy in force.' }),
    policyChanges: registry.counter({
      name: 'policy_changes_total',
      help: 'Changes of policy, by who asked for them and how it ended; held and too_large: the brake stopped them.',
      labels: { source: CHANGE_SOURCES, result: ['applied', 'unchanged', 'dry_run', 'held', 'too_large', 'refused'] },
    }),
    noticeEnd: registry.gauge({
      name: 'notice_earliest_end_timestamp_seconds',
      help: 'When the next thing of a kind ends: baseline windows, observe modes, join credentials, roots.',
      labels: { kind: NOTICE_KINDS },
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
    reports: registry.counter({
      name: 'reports_received_total',
      help: 'Reports of sidecars, by how they were received.',
      labels: { result: ['taken', 'refused'] },
    }),
    decisionsKept: registry.counter({
      name: 'decisions_kept_total',
      help: 'Reported decisions that were written to the decision log.',
    }),
    decisionsDropped: registry.counter({
      name: 'decisions_dropped_total',
      help: 'Reported decisions that were not kept: one instance sent too many, the disk was too slow, or writing failed.',
      labels: { reason: DECISION_DROPS },
    }),
    decisionsHeld: registry.gauge({ name: 'decisions_held', help: 'Decisions in the decision log now.' }),
    operatorQuestions: registry.counter({
      name: 'operator_questions_total',
      help: "Operators' questions that were passed to sidecars, by how they ended.",
      labels: { result: ['answered', 'unavailable', 'timeout', 'gone'] },
    }),
    operatorRequests: registry.counter({
      name: 'operator_requests_total',
      help: "Requests on the operators' port, by how they ended; tls: hung up on before any request.",
      labels: { method: ['GET', 'POST', 'other', 'none'], result: OPERATOR_REQUEST_RESULTS },
    }),
    instances: registry.gauge({ name: 'instances', help: 'Instances with a certificate that is still valid.' }),
    keyRotations: registry.counter({
      name: 'key_rotations_total',
      help: "Phases that the authority's keys have entered; gone: out of the trust bundle.",
      labels: { kind: KEY_KINDS, phase: [...KEY_PHASES, 'gone'] },
    }),
    certificateExpiry: registry.gauge({
      name: 'certificate_expiry_timestamp_seconds',
      help: "When the authority's own certificates end; a root is published, active or retiring.",
      labels: { kind: ['root', 'server'], phase: KEY_PHASES },
    }),
  };
}
