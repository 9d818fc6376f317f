import { dimensionDifferences, meetsAssurance, type Dimension, type Measurement } from '../measurement.ts';
import type { InUseVerdict } from './in-use.ts';
import type { ModelCall } from './model-call.ts';

/**
 * The dimensions of a measurement that a call showed to be in use. None for a call that was refused.
 *
 * - `system_prompt`: the prompt that was used is measured under its name. Of several prompts one is enough: each call is
 *   checked before it is forwarded, so that no other than an approved one can be in use.
 * - `tools`: the call offered some, and each is measured. A call that offers none shows nothing of them.
 * - `model`: its id is the one measured. Version and weights are the provider's word.
 * - `knowledge_base`: never. What was retrieved is in no part of a call that could be told from other text.
 *
 * A call may fit a baseline that is not the one on disk (during a roll-out): then a dimension that differs was not shown.
 */
export function dimensionsInUse(
  call: ModelCall,
  verdict: InUseVerdict,
  measurement: Measurement,
): readonly Dimension[] {
  if (!verdict.matches) return [];
  const { observed, prompt } = verdict;
  const shown: Dimension[] = [];
  if (prompt !== undefined && hasSame('system_prompt', [prompt], { observed, measurement }))
    shown.push('system_prompt');
  if (measurement.model !== null && observed.model?.id === measurement.model.id) shown.push('model');
  const offered = call.tools.map(({ name }) => name);
  if (offered.length > 0 && hasSame('tools', offered, { observed, measurement })) shown.push('tools');
  return shown;
}

function hasSame(
  dimension: 'system_prompt' | 'tools',
  items: readonly string[],
  { observed, measurement }: Pick<Extract<InUseVerdict, { matches: true }>, 'observed'> & { measurement: Measurement },
): boolean {
  if (observed[dimension] === null || measurement[dimension] === null) return false;
  const differing = new Set(dimensionDifferences(dimension, observed, measurement).map(({ item }) => item));
  return items.every((item) => !differing.has(item));
}

/**
 * Raises dimensions to `in_use`. One that is not measured stays so, and none is lowered.
 *
 * **Only where other ways to a model are closed** is this true; whoever calls it must know that.
 */
export function raisedToInUse(measurement: Measurement, dimensions: readonly Dimension[]): Measurement {
  const raised = dimensions.flatMap((dimension) => {
    const measured = measurement[dimension];
    if (measured === null || meetsAssurance(measured.assurance, 'in_use')) return [];
    return [[dimension, { ...measured, assurance: 'in_use' }] as const];
  });
  return { ...measurement, ...Object.fromEntries(raised) };
}
