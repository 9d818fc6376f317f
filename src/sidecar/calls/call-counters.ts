import { OTHER_CALL } from '../../domain/grant-policy.ts';
import type { ObservationSeries, SumSeries } from '../../platform/metrics-registry.ts';
import type { Direction } from '../sidecar-metrics.ts';
import type { CallMetrics } from './call-metrics.ts';
import { PeerCalls } from './peer-calls.ts';
import { PeerSeries } from './peer-series.ts';

/** How many series of `calls_total` name a method; beyond that calls count under the method `other`. */
const NAMED_METHODS = 230;
/** How many further series name a peer; beyond that calls count under the peer `other`. */
const NAMED_PEERS = 180;
/** Of one peer in one direction, without `calls_total`. */
const SERIES_PER_PEER = 6;
const OTHER_PEER = 'other';

/**
 * Counts calls, at a few nanoseconds each: every series is looked up once and kept. Its share of the series that a
 * process may have is bounded, in a way that loses no call: where there is no room for a method, and then for a peer,
 * it is `other` that is counted.
 */
export class CallCounters {
  readonly #metrics: CallMetrics;
  readonly #overhead: ObservationSeries;
  readonly #peers = new Map<string, PeerCalls>();
  readonly #series = new Map<string, PeerSeries>();
  #namedMethods = 0;
  #namedPeers = 0;

  constructor(metrics: CallMetrics) {
    this.#metrics = metrics;
    this.#overhead = metrics.gateOverhead.series({});
  }

  /** @param peer as labels name it. The same object for the same peer and direction, for all its connections. */
  of(direction: Direction, peer: string): PeerCalls {
    const key = `${direction} ${peer}`;
    const known = this.#peers.get(key);
    if (known !== undefined) return known;
    const calls = new PeerCalls({
      series: () => this.#seriesOf(direction, peer),
      onCut: (reason) => this.#metrics.callsCut.add({ direction, reason }),
    });
    this.#peers.set(key, calls);
    return calls;
  }

  /** @param ms how long the headers of a call were held up. */
  held(ms: number): void {
    this.#overhead.observe(ms / 1000);
  }

  /** To be called before each scrape: what has become idle makes room for what is counted as `other`. */
  sweep(): void {
    this.#namedMethods = this.#namedPeers = 0;
    for (const calls of this.#peers.values()) calls.release();
    for (const [key, series] of this.#series) {
      series.sweep();
      if (!series.isLive) this.#series.delete(key);
      else {
        const { named, other } = series.counts();
        this.#namedMethods += named;
        if (series.peer !== OTHER_PEER) this.#namedPeers += SERIES_PER_PEER + other;
      }
    }
  }

  #seriesOf(direction: Direction, peer: string): PeerSeries {
    const key = `${direction} ${peer}`;
    const known = this.#series.get(key);
    if (known !== undefined) return known;
    if (peer !== OTHER_PEER) {
      if (this.#namedPeers + SERIES_PER_PEER > NAMED_PEERS) return this.#seriesOf(direction, OTHER_PEER);
      this.#namedPeers += SERIES_PER_PEER;
    }
    const series: PeerSeries = new PeerSeries(this.#metrics, {
      direction,
      peer,
      find: (method, ending) => this.#find(series, method, ending),
    });
    this.#series.set(key, series);
    return series;
  }

  /** The series for a method, code and source, or the one that stands in for it. */
  #find(series: PeerSeries, method: string, ending: number): SumSeries {
    if (method !== OTHER_CALL) {
      if (this.#namedMethods >= NAMED_METHODS) return series.ended(OTHER_CALL, ending);
      this.#namedMethods += 1;
    } else if (series.peer !== OTHER_PEER) {
      if (this.#namedPeers >= NAMED_PEERS)
        return this.#seriesOf(series.direction, OTHER_PEER).ended(OTHER_CALL, ending);
      this.#namedPeers += 1;
    }
    return series.make(method, ending);
  }
}
