import { matchBaseline } from '../domain/baseline.ts';
import type { Baseline } from '../domain/baseline.ts';
import type { Difference } from '../domain/measurement.ts';
import type { Logger } from '../platform/logger.ts';
import type { OperatorAnswer } from '../wire/generated/ait/v1/OperatorAnswer.ts';
import type { OperatorQuestion__Output } from '../wire/generated/ait/v1/OperatorQuestion.ts';
import type { PromptDifference } from '../wire/generated/ait/v1/PromptDifference.ts';
import type { MeasurementResult } from './measure/measurer.ts';
import type { PromptMemory } from './measure/prompt-memory.ts';

export interface DisclosureDeps {
  readonly logger: Logger;
  readonly now: () => number;
  readonly measurement: () => MeasurementResult;
  /** Baselines of our own agent. */
  readonly baselines: () => readonly Baseline[];
  readonly promptMemory: Pick<PromptMemory, 'describe' | 'disclose'>;
}

/** All diffs of one answer together, in bytes. */
const MAX_DIFF_BYTES = 128 * 1024;
/** Less than this is not worth beginning another diff for. */
const LEAST_DIFF_BYTES = 256;
const MAX_OPERATOR_CHARS = 200;

/**
 * Answers an operator's question. This is the only way in which text of a prompt leaves the sidecar, and only to the
 * authority, which has authenticated and authorised whoever asks; each time there is a line in our own log as well.
 */
export function answerOperator(question: OperatorQuestion__Output, deps: DisclosureDeps): OperatorAnswer {
  const { id } = question;
  const operator = question.operator.slice(0, MAX_OPERATOR_CHARS);
  if (question.question !== 'promptDifference') return unavailable(id, 'this sidecar does not know the question');
  const prompts = differencesOrReason(deps);
  if (typeof prompts === 'string') {
    deps.logger.warn('prompt_disclosed', { operator, question: id, prompts: [], reason: prompts });
    return unavailable(id, prompts);
  }
  const shown = prompts.map(({ name, unifiedDiff }) => ({ name, bytes: Buffer.byteLength(unifiedDiff ?? '') }));
  deps.logger.warn('prompt_disclosed', { operator, question: id, prompts: shown });
  return { id, answer: 'promptDifferences', promptDifferences: { prompts } };
}

/** A defect in here must not end the process: it is enforcing. */
function differencesOrReason(deps: DisclosureDeps): PromptDifference[] | string {
  try {
    return promptDifferences(deps);
  } catch (error) {
    // The message of an error may repeat what was being compared; its name does not.
    deps.logger.error('defect', { what: 'comparing prompts', type: (error as Error).name });
    return 'the sidecar failed to compare the prompts; please report it';
  }
}

/** @returns a text where there is nothing to compare: why. */
function promptDifferences(deps: DisclosureDeps): PromptDifference[] | string {
  const measured = deps.measurement();
  if (!measured.ok) return `the agent cannot be measured: ${measured.rejection.code}`;
  const match = matchBaseline(measured.measurement, deps.baselines(), { now: deps.now() });
  if (match.outcome === 'none_in_force') return 'no baseline is in force, so that there is nothing to compare with';
  if (match.outcome !== 'drift') return [];
  let left = MAX_DIFF_BYTES;
  return match.differences
    .filter(({ dimension }) => dimension === 'system_prompt')
    .map((difference) => {
      const described = describe(difference, { ...deps, maxBytes: left });
      left -= Buffer.byteLength(described.unifiedDiff ?? '');
      return described;
    });
}

function describe(
  { item, expected = '', observed = '' }: Difference,
  { promptMemory, maxBytes }: Pick<DisclosureDeps, 'promptMemory'> & { readonly maxBytes: number },
): PromptDifference {
  const where = promptMemory.describe(expected, observed);
  const diff = maxBytes < LEAST_DIFF_BYTES ? undefined : promptMemory.disclose(expected, observed, maxBytes);
  return {
    name: item,
    approved: digestIn(expected),
    measured: digestIn(observed),
    unifiedDiff: diff ?? '',
    firstDifference: where?.byteOffset ?? 0,
    whitespaceOnly: where?.whitespaceOnly ?? false,
  };
}

/** A difference names the rule before the digest. */
function digestIn(text: string): string {
  return text.slice(text.lastIndexOf(' ') + 1);
}

function unavailable(id: string, reason: string): OperatorAnswer {
  return { id, answer: 'unavailable', unavailable: reason };
}
