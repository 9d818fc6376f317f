import { nowMs, type Sight } from './fleet-protocol.ts';

type Line = Readonly<Record<string, unknown>> & { readonly event?: string };

/** What the sidecars of one process say in their logs, as numbers. Counts begin anew with each {@link reset}. */
export class FleetRecorder {
  readonly #seen: Record<Sight, Map<string, number>> = { applied: new Map(), revoked: new Map() };
  readonly #watching = new Set<() => void>();
  liveSessions = 0;
  ended: Record<string, number> = {};
  refused: Record<string, number> = {};
  watchesBroken: number[] = [];
  joins = 0;
  errors: string[] = [];

  /** Where one sidecar's log goes. */
  destination(name: string): { write(line: string): void } {
    return {
      write: (line) => this.#read(name, JSON.parse(line) as Line),
    };
  }

  reset(): void {
    for (const seen of Object.values(this.#seen)) seen.clear();
    this.ended = {};
    this.refused = {};
    this.watchesBroken = [];
    this.joins = 0;
    this.errors = [];
  }

  /** When each sidecar was first seen to do it: as soon as `count` were, or with what there is after `withinMs`. */
  async first(sight: Sight, { count, withinMs }: { count: number; withinMs: number }): Promise<number[]> {
    const seen = this.#seen[sight];
    if (seen.size < count) {
      await new Promise<void>((resolve) => {
        const finish = () => {
          clearTimeout(timer);
          this.#watching.delete(look);
          resolve();
        };
        const look = () => {
          if (seen.size >= count) finish();
        };
        const timer = setTimeout(finish, withinMs);
        this.#watching.add(look);
      });
    }
    return [...seen.values()];
  }

  #read(name: string, line: Line): void {
    switch (line.event) {
      case 'state_applied':
        this.#see('applied', name);
        break;
      case 'session_admitted':
        this.liveSessions += 1;
        break;
      case 'session_terminated': {
        const code = String(line['code']);
        this.liveSessions -= 1;
        this.ended[code] = (this.ended[code] ?? 0) + 1;
        if (code === 'REVOKED') this.#see('revoked', name);
        break;
      }
      case 'peer_refused':
      case 'peer_denied': {
        const code = String(line['code']);
        this.refused[code] = (this.refused[code] ?? 0) + 1;
        break;
      }
      case 'state_watch_broken':
        this.watchesBroken.push(nowMs());
        break;
      case 'joined':
        this.joins += 1;
        break;
      default:
        if (line['level'] === 'error' || line['level'] === 'fatal') this.errors.push(JSON.stringify({ name, ...line }));
    }
  }

  #see(sight: Sight, name: string): void {
    const seen = this.#seen[sight];
    if (seen.has(name)) return;
    seen.set(name, nowMs());
    for (const look of this.#watching) look();
  }
}
