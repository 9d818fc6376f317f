import { kindOf, type SpiffeId } from '../../domain/agent-id.ts';
import { driftDimension, REJECTION_CODES } from '../../domain/rejection.ts';
import { measurementToJson } from '../../domain/measurement-json.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Readiness } from '../../platform/readiness.ts';
import type { CertificateAuthority } from '../keys/certificate-authority.ts';
import type { Instance, Instances } from '../membership/instances.ts';
import type { PolicyDirectory } from '../policy/policy-directory.ts';
import type { PolicyLedger } from '../policy/policy-ledger.ts';
import { sourceOf } from '../policy/policy-objects.ts';
import type { InstanceReports, ReportedInstance } from '../reports/instance-reports.ts';
import { sessionViews } from './session-views.ts';

export interface AdminViewsOptions {
  readonly trustDomain: string;
  readonly authority: CertificateAuthority;
  readonly ledger: PolicyLedger;
  readonly policy: PolicyDirectory;
  readonly instances: Instances;
  readonly reports: InstanceReports;
  readonly readiness: Readiness;
  readonly clock: Clock;
  readonly addresses: () => { readonly grpc: string; readonly operators: string; readonly metrics: string };
}

export type AdminViews = ReturnType<typeof createAdminViews>;

/** What operators may read: plain JSON, times in RFC 3339. No secret is within reach here. */
export function createAdminViews(options: AdminViewsOptions) {
  const { trustDomain, authority, ledger, policy, instances, reports, readiness, clock, addresses } = options;
  /** Whoever has a certificate, and whoever had one and is remembered. */
  const instanceFacts = (): InstanceFacts[] => {
    const live = instances.live();
    const known = new Set(live.map(({ id }) => id));
    return [
      ...live.map((instance) => ({
        id: instance.id,
        agent: instance.agent,
        instance,
        report: reports.get(instance.id),
      })),
      ...reports
        .all()
        .filter(({ id }) => !known.has(id))
        .map((report) => ({ id: report.id, agent: report.agent, instance: undefined, report })),
    ];
  };
  return {
    status: () => ({
      trust_domain: trustDomain,
      time: iso(clock.now()),
      ready: readiness.ready,
      blockers: readiness.blockers(),
      listen: addresses().grpc,
      operators_listen: addresses().operators,
      metrics_listen: addresses().metrics,
      root_sha256: authority.rootSha256,
      root_certificate: authority.rootPem,
      root_not_after: iso(authority.rootNotAfter),
      instances: instances.live().filter(isOfAgent).length,
      reporting: reports.reported().length,
      policy_problems: policy.problems().length,
    }),
    agents: () => {
      const records = ledger.records();
      const all = instanceFacts();
      return records.flatMap((record) => {
        const { object, note } = record;
        if (object.kind !== 'agent') return [];
        const { id, lifecycle, sponsor, observeUntil } = object.value;
        const baselines = records.flatMap(({ object: { kind, value } }) =>
          kind === 'baseline' && value.agent === id ? [{ id: value.id, state: value.state }] : [],
        );
        return [
          {
            id,
            lifecycle,
            sponsor,
            ...note,
            observe_until: observeUntil === undefined ? undefined : iso(observeUntil),
            baselines,
            ...counts(all.filter((instance) => instance.agent === id)),
            source: sourceOf(record),
          },
        ];
      });
    },
    instances: ({ agent, id }: { readonly agent: string | undefined; readonly id: string | undefined }) =>
      instanceFacts()
        .filter((facts) => agent !== undefined || id !== undefined || isOfAgent(facts))
        .filter((facts) => (agent === undefined || facts.agent === agent) && (id === undefined || facts.id === id))
        .map((facts) => instanceView(facts, { withMeasurement: id !== undefined })),
    sessions: (agent: string | undefined) => sessionViews(reports.reported(), agent),
    policyProblems: () => policy.problems(),
  };
}

interface InstanceFacts {
  readonly id: string;
  readonly agent: SpiffeId;
  readonly instance: Instance | undefined;
  readonly report: ReportedInstance | undefined;
}

/** An inference service is a member, too, but reports nothing: among agents it would look like one that fell silent. */
function isOfAgent({ agent }: Pick<Instance, 'agent'>): boolean {
  return kindOf(agent) === 'agent';
}

/** `silent`: it has a certificate and has not reported since this authority started. */
type InstanceState = 'ready' | 'not_ready' | 'silent' | 'gone';

function stateOf({ report }: InstanceFacts): InstanceState {
  if (report?.goneAt !== undefined) return 'gone';
  if (report?.status === undefined) return 'silent';
  return report.status.blockers.length === 0 ? 'ready' : 'not_ready';
}

/** Whether it refuses itself because its agent is not what was approved. */
function isDrifted({ report }: InstanceFacts): boolean {
  const code = REJECTION_CODES.find((known) => known === report?.status?.rejectionCode);
  return report?.goneAt === undefined && code !== undefined && driftDimension(code) !== undefined;
}

function counts(all: readonly InstanceFacts[]): object {
  const there = all.filter((facts) => stateOf(facts) !== 'gone');
  return {
    instances: there.length,
    ready: there.filter((facts) => stateOf(facts) === 'ready').length,
    drifted: there.filter(isDrifted).length,
    gone: all.length - there.length,
  };
}

function instanceView(facts: InstanceFacts, { withMeasurement }: { readonly withMeasurement: boolean }): object {
  const { id, agent, instance, report } = facts;
  const { status, measurement } = report ?? {};
  return {
    id,
    agent,
    state: stateOf(facts),
    drifted: isDrifted(facts),
    ...(instance !== undefined && {
      joined_at: iso(instance.joinedAt),
      address: instance.address,
      ...(instance.pod === undefined ? { credential_id: instance.credentialId } : { pod: instance.pod }),
      certificates: instance.certificates.map(({ thumbprint, notAfter }) => ({ thumbprint, not_after: iso(notAfter) })),
    }),
    ...(report !== undefined && { heard_at: iso(report.heardAt), sessions: report.sessions.length }),
    ...(report?.goneAt !== undefined && { gone_at: iso(report.goneAt) }),
    ...(status !== undefined && {
      version: status.version,
      baseline: status.baseline,
      rejection_code: status.rejectionCode,
      blockers: status.blockers,
    }),
    ...(withMeasurement && { measurement: measurement === undefined ? null : measurementToJson(measurement) }),
  };
}

function iso(at: number): string {
  return new Date(at).toISOString();
}
