import type { RevocationKind } from '../../domain/mesh-state.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Instances } from '../membership/instances.ts';
import type { Presence } from '../membership/presence.ts';
import type { ReportedInstance } from '../policy/policy-impact.ts';
import type { InstanceReports } from './instance-reports.ts';

export interface KnownMeshOptions {
  readonly instances: Instances;
  readonly presence: Presence;
  readonly reports: InstanceReports;
  readonly clock: Clock;
}

/** How long after a start a member may take to report, in ms; then it counts as having no sessions. */
const REPORTS_DUE_MS = 60_000;

/** What runs, as far as the authority knows: members, and what they report. */
export class KnownMesh {
  readonly #options: KnownMeshOptions;
  readonly #startedAt: number;
  /** Members from before this start who have not reported yet. */
  #awaited: readonly string[];

  constructor(options: KnownMeshOptions) {
    this.#options = options;
    this.#startedAt = options.clock.monotonic();
    this.#awaited = options.instances.live().map(({ id }) => id);
  }

  reported(): readonly ReportedInstance[] {
    const { instances, reports } = this.#options;
    return instances.live().map(({ id, agent }) => {
      const { measurement, status, sessions = [] } = reports.get(id) ?? {};
      return { id, agent, measurement, baseline: status?.baseline, sessions };
    });
  }

  isComplete(): boolean {
    const { clock, presence, reports } = this.#options;
    if (clock.monotonic() - this.#startedAt >= REPORTS_DUE_MS) return true;
    this.#awaited = this.#awaited.filter((id) => presence.isThere(id) && reports.get(id)?.status === undefined);
    return this.#awaited.length === 0;
  }

  instanceOf(thumbprint: string): string | undefined {
    return this.#options.instances.byCertificate(thumbprint)?.id;
  }

  isKnown(kind: RevocationKind, subject: string): boolean {
    const { instances } = this.#options;
    if (kind === 'agent') return true;
    return (kind === 'instance' ? instances.get(subject) : instances.byCertificate(subject)) !== undefined;
  }
}
