import type { Digest } from '../../domain/canonical/digest.ts';
import type { JsonObject } from '../../domain/canonical/strict-json.ts';
import type { Dimension, Measurement } from '../../domain/measurement.ts';
import type { KnownPrompt } from '../../domain/prompt/known-prompt.ts';
import { createAssuranceCheck, type AssuranceOf } from './assurance.ts';
import type { MeasureConfig } from './measure-config.ts';

/** The value of a dimension that the agent has. */
export type Measured<D extends Dimension> = NonNullable<Measurement[D]>;

/** What one look at all sources of a dimension found. */
export interface Observation<D extends Dimension = Dimension> {
  readonly value: Measured<D>;
  /** What the operator should know beside the digests, such as which entry of a manifest differs. No content. */
  readonly notes?: readonly string[];
  /** Only for prompts: what was read, by digest. It stays in the sidecar. */
  readonly texts?: ReadonlyMap<Digest, KnownPrompt>;
  /** Only for tools: their definitions by digest. They stay in the sidecar. */
  readonly definitions?: ReadonlyMap<Digest, JsonObject>;
}

/** Reads one dimension's sources, afresh each time. */
export interface DimensionReader<D extends Dimension = Dimension> {
  readonly dimension: D;
  /** @throws MeasurementProblem (also as a rejected promise) when there is no digest. */
  read(): Observation<D> | Promise<Observation<D>>;
  /** Files and folders whose change changes the result, as far as the last reading knows them. */
  paths(): readonly string[];
}

/** The assurance check for one pass over a dimension's sources. */
export function assurancePass(config: MeasureConfig, dimension: Dimension): AssuranceOf {
  if (config.agentCannotWrite[dimension]) return () => 'at_rest';
  return createAssuranceCheck({
    agent: { uid: config.agentUid, gids: config.agentGids },
    sidecarUid: process.geteuid?.(),
  });
}

/** A dimension is only as sure as the least sure of its sources; of none, nothing is sure. */
export function weakest(assurances: readonly ReturnType<AssuranceOf>[]): ReturnType<AssuranceOf> {
  return assurances.length > 0 && assurances.every((each) => each === 'at_rest') ? 'at_rest' : 'declared';
}
