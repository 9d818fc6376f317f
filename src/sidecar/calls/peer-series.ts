import type { AnswerSource, CallOutcome } from '../../dataplane/gate/call.ts';
import { OTHER_CALL } from '../../domain/grant-policy.ts';
import type { ObservationSeries, SumSeries } from '../../platform/metrics-registry.ts';
import type { Direction } from '../sidecar-metrics.ts';
import { ANSWER_SOURCES, CALL_CODES, codeIndexOf, type CallCode, type CallMetrics } from './call-metrics.ts';

interface PeerSeriesOptions {
  readonly direction: Direction;
  readonly peer: string;
  /** The series for a method and an ending that were not asked for before; another's where there is no room. */
  readonly find: (method: string, ending: number) => SumSeries;
}

/**
 * The series of one peer and direction, each looked up once. An ending is a code and a source as one number: it is found
 * faster than a key is put together.
 */
export class PeerSeries {
  readonly direction: Direction;
  readonly peer: string;
  readonly inFlight: SumSeries;
  readonly duration: ObservationSeries;
  readonly requestBytes: SumSeries;
  readonly responseBytes: SumSeries;
  readonly requestMessages: SumSeries;
  readonly responseMessages: SumSeries;
  readonly #calls: CallMetrics['calls'];
  readonly #find: PeerSeriesOptions['find'];
  readonly #byMethod = new Map<string, Map<number, SumSeries>>();
  /** Those of `calls_total` that are of this peer, and not another's that stands in. */
  readonly #own = new Set<SumSeries>();

  constructor(metrics: CallMetrics, { direction, peer, find }: PeerSeriesOptions) {
    this.direction = direction;
    this.peer = peer;
    this.inFlight = metrics.callsInFlight.series({ direction, peer });
    this.duration = metrics.callDuration.series({ direction, peer });
    this.requestBytes = metrics.callBytes.series({ direction, peer, way: 'request' });
    this.responseBytes = metrics.callBytes.series({ direction, peer, way: 'response' });
    this.requestMessages = metrics.callMessages.series({ direction, peer, way: 'request' });
    this.responseMessages = metrics.callMessages.series({ direction, peer, way: 'response' });
    this.#calls = metrics.calls;
    this.#find = find;
  }

  /** Of `calls_total`. */
  ended(method: string, ending: number): SumSeries {
    const known = this.#byMethod.get(method)?.get(ending);
    if (known !== undefined) return known;
    const series = this.#find(method, ending);
    const endings = this.#byMethod.get(method) ?? new Map<number, SumSeries>();
    this.#byMethod.set(method, endings.set(ending, series));
    return series;
  }

  /** One more series of this peer's own. */
  make(method: string, ending: number): SumSeries {
    const { direction, peer } = this;
    const series = this.#calls.series({ direction, peer, method, ...partsOf(ending) });
    this.#own.add(series);
    return series;
  }

  /** Whether any of them is shown. */
  get isLive(): boolean {
    return this.#own.size > 0 || this.inFlight.live || this.duration.live || this.requestBytes.live;
  }

  /** How many of its own series of `calls_total` name a method, and how many say `other`. */
  counts(): { readonly named: number; readonly other: number } {
    const others = [...(this.#byMethod.get(OTHER_CALL)?.values() ?? [])];
    const other = others.filter((series) => this.#own.has(series)).length;
    return { named: this.#own.size - other, other };
  }

  /** Forgets what was evicted, and where another peer or method stands in: there may be room now. */
  sweep(): void {
    for (const series of this.#own) if (!series.live) this.#own.delete(series);
    for (const [method, endings] of this.#byMethod) {
      for (const [ending, series] of endings) {
        if (!this.#own.has(series) || (method !== OTHER_CALL && this.#isOther(series))) endings.delete(ending);
      }
      if (endings.size === 0) this.#byMethod.delete(method);
    }
  }

  #isOther(series: SumSeries): boolean {
    return [...(this.#byMethod.get(OTHER_CALL)?.values() ?? [])].includes(series);
  }
}

/** The number of a code and a source. */
export function endingOf(outcome: CallOutcome): number {
  return codeIndexOf(outcome) * ANSWER_SOURCES.length + SOURCE_INDEX[outcome.source];
}

function partsOf(ending: number): { readonly code: CallCode; readonly source: AnswerSource } {
  const code = CALL_CODES[Math.floor(ending / ANSWER_SOURCES.length)];
  const source = ANSWER_SOURCES[ending % ANSWER_SOURCES.length];
  if (code === undefined || source === undefined) throw new RangeError(`${ending} is no ending`);
  return { code, source };
}

const SOURCE_INDEX = { app: 0, sidecar: 1, peer: 2 } as const satisfies Record<AnswerSource, number>;
