import type { Clock } from '../../platform/clock.ts';
import type { Readiness } from '../../platform/readiness.ts';
import type { CertificateAuthority } from '../keys/certificate-authority.ts';
import type { Instances } from '../membership/instances.ts';
import type { PolicyDirectory } from '../policy/policy-directory.ts';
import type { ReportService } from '../reports/report-service.ts';

export interface AdminViewsOptions {
  readonly trustDomain: string;
  readonly authority: CertificateAuthority;
  readonly policy: PolicyDirectory;
  readonly instances: Instances;
  readonly reports: ReportService;
  readonly readiness: Readiness;
  readonly clock: Clock;
  readonly addresses: () => { readonly grpc: string; readonly metrics: string };
}

export type AdminViews = ReturnType<typeof createAdminViews>;

/** What operators may read: plain JSON, times in RFC 3339. No secret is within reach here. */
export function createAdminViews(options: AdminViewsOptions) {
  const { trustDomain, authority, policy, instances, reports, readiness, clock, addresses } = options;
  return {
    status: () => ({
      trust_domain: trustDomain,
      time: iso(clock.now()),
      ready: readiness.ready,
      blockers: readiness.blockers(),
      listen: addresses().grpc,
      metrics_listen: addresses().metrics,
      root_sha256: authority.rootSha256,
      root_certificate: authority.rootPem,
      root_not_after: iso(authority.rootNotAfter),
      instances: instances.live().length,
      policy_problems: policy.problems().length,
    }),
    agents: () => {
      const records = policy.records();
      const live = instances.live();
      return records.flatMap(({ object, note, file, line }) => {
        if (object.kind !== 'agent') return [];
        const { id, lifecycle, sponsor, observeUntil } = object.value;
        const baselines = records.flatMap((record) =>
          record.object.kind === 'baseline' && record.object.value.agent === id
            ? [{ id: record.object.value.id, state: record.object.value.state }]
            : [],
        );
        return [
          {
            id,
            lifecycle,
            sponsor,
            ...note,
            observe_until: observeUntil === undefined ? undefined : iso(observeUntil),
            baselines,
            instances: live.filter(({ agent }) => agent === id).length,
            source: `${file}:${line}`,
          },
        ];
      });
    },
    instances: () =>
      instances.live().map(({ id, agent, joinedAt, address, certificates, credentialId, pod }) => ({
        id,
        agent,
        joined_at: iso(joinedAt),
        address,
        ...(pod === undefined ? { credential_id: credentialId } : { pod }),
        certificates: certificates.map(({ thumbprint, notAfter }) => ({ thumbprint, not_after: iso(notAfter) })),
        sessions: reports.sessionsOf(id)?.map(({ sessionId, peer, peerInstance, role, connections }) => ({
          session_id: sessionId,
          peer,
          peer_instance: peerInstance,
          role,
          connections,
        })),
      })),
    policyProblems: () => policy.problems(),
  };
}

function iso(at: number): string {
  return new Date(at).toISOString();
}
