import type { PromptBook } from '../../domain/inference/prompt-book.ts';
import type { PromptMemory } from '../measure/prompt-memory.ts';

/** What this sidecar has measured, for the comparison of what is in use. */
export function promptBook(_memory: PromptMemory): PromptBook {
  return { find: () => undefined, findTool: () => undefined };
}
