import type { JsonObject } from '../../domain/canonical/strict-json.ts';
import type { ServedModel } from '../config.ts';

export interface PromptMessage {
  /** `system`, `developer`, `user`, `assistant` or `tool`. */
  readonly role: string;
  readonly text: string;
}

export interface OfferedFunction {
  readonly name: string;
  /** JSON Schema; an empty object where there is none. */
  readonly parameters: JsonObject;
}

/** `named`: that one must be called. */
export type ToolChoice = 'auto' | 'none' | 'required' | { readonly named: string };

/** What is asked of a model, whichever endpoint it came to. */
export interface Prompt {
  readonly model: ServedModel;
  /** In the order in which the model sees them; at least one. */
  readonly messages: readonly PromptMessage[];
  readonly tools: readonly OfferedFunction[];
  readonly toolChoice: ToolChoice;
  /** Longest answer in tokens; `undefined`: no limit. */
  readonly maxTokens: number | undefined;
  /** Texts before which the answer ends; none of them empty. */
  readonly stop: readonly string[];
  readonly stream: boolean;
  /** Streams of chat completions only: whether a last chunk tells the usage. */
  readonly includeUsage: boolean;
}
