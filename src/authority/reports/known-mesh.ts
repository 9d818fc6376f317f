import { isSpiffeId } from '../../domain/agent-id.ts';
import { parseStrictJson } from '../../domain/canonical/strict-json.ts';
import { parseMeasurement } from '../../domain/measurement-json.ts';
import type { Measurement } from '../../domain/measurement.ts';
import type { RevocationKind } from '../../domain/mesh-state.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Instances } from '../membership/instances.ts';
import type { Presence } from '../membership/presence.ts';
import type { ReportedInstance, ReportedSession } from '../policy/policy-impact.ts';
import type { ReportService } from './report-service.ts';

export interface KnownMeshOptions {
  readonly instances: Instances;
  readonly presence: Presence;
  readonly reports: ReportService;
  readonly clock: Clock;
}

/** How long after a start a member may take to report its sessions, in ms; then it counts as having none. */
const REPORTS_DUE_MS = 60_000;

/** What runs, as far as the authority knows: members, what was last measured of them, the sessions they report. */
export class KnownMesh {
  readonly #options: KnownMeshOptions;
  readonly #measurements = new Map<string, Measurement>();
  readonly #startedAt: number;
  /** Members from before this start who have not reported yet. */
  #awaited: readonly string[];

  constructor(options: KnownMeshOptions) {
    this.#options = options;
    this.#startedAt = options.clock.monotonic();
    this.#awaited = options.instances.live().map(({ id }) => id);
  }

  /** Notes what a token was issued for. @param json checked by the issuer */
  measured(instance: string, json: string): void {
    this.#measurements.set(instance, parseMeasurement(parseStrictJson(json, { maxDepth: 8 })));
  }

  reported(): readonly ReportedInstance[] {
    const live = this.#options.instances.live();
    const ids = new Set(live.map(({ id }) => id));
    for (const id of this.#measurements.keys()) if (!ids.has(id)) this.#measurements.delete(id);
    return live.map(({ id, agent }) => ({
      id,
      agent,
      measurement: this.#measurements.get(id),
      sessions: this.#sessionsOf(id),
    }));
  }

  isComplete(): boolean {
    const { clock, presence, reports } = this.#options;
    if (clock.monotonic() - this.#startedAt >= REPORTS_DUE_MS) return true;
    this.#awaited = this.#awaited.filter((id) => presence.isThere(id) && reports.sessionsOf(id) === undefined);
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

  #sessionsOf(instance: string): readonly ReportedSession[] {
    return (this.#options.reports.sessionsOf(instance) ?? []).flatMap(({ peer, peerInstance, role }) =>
      isSpiffeId(peer) && (role === 'dialler' || role === 'acceptor') ? [{ peer, peerInstance, role }] : [],
    );
  }
}
