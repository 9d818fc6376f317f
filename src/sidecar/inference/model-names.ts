import type { Baseline } from '../../domain/baseline.ts';
import { isInForce } from '../../domain/baseline.ts';
import type { Measurement } from '../../domain/measurement.ts';

export interface ModelNamesDeps {
  /** The agent's own baselines. */
  readonly baselines: () => readonly Baseline[];
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly measurement: () => Measurement | undefined;
  /** By approved model: further names under which a provider answers for it. */
  readonly modelMap: Readonly<Record<string, readonly string[]>>;
}

/** By which names models go: as they are approved, as they answer, as metrics count them. */
export class ModelNames {
  readonly #deps: ModelNamesDeps;

  constructor(deps: ModelNamesDeps) {
    this.#deps = deps;
  }

  /** The ids that some baseline in force approves. */
  approved(): ReadonlySet<string> {
    const { baselines, now } = this.#deps;
    const inForce = baselines().filter((baseline) => isInForce(baseline, now()));
    return new Set(inForce.flatMap(({ digests: { model } }) => (model === null ? [] : [model.id])));
  }

  /** The names under which the model that was asked for may answer: its own, its declared version, those configured. */
  answersFor(model: string): ReadonlySet<string> {
    const { modelMap, measurement } = this.#deps;
    const measured = measurement()?.model;
    const versions = measured?.id === model ? [measured.version, `${model}-${measured.version}`] : [];
    const configured = Object.hasOwn(modelMap, model) ? (modelMap[model] ?? []) : [];
    return new Set([model, ...versions, ...configured]);
  }

  /** What metrics call a model. Never a name that only a request has. */
  label(model: string): string {
    return this.approved().has(model) ? model : 'other';
  }
}
