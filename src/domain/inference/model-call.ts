import type { JsonObject } from '../canonical/strict-json.ts';

/** The endpoints of an OpenAI-compatible server that carry prompts. Everything else but `/v1/models` is refused. */
export const MODEL_ENDPOINTS = ['chat_completions', 'responses'] as const;
export type ModelEndpoint = (typeof MODEL_ENDPOINTS)[number];

/** A text with which the agent instructs its model: a system or developer message, or `instructions`. */
export interface InstructionText {
  /** Canonical (`ait-text-1`), as it is forwarded: do not apply the rule again. */
  readonly text: string;
  /** Where it stands in the request, for example `messages[0].content` or `instructions`. */
  readonly at: string;
}

/** A tool that the agent offers to its model with this call. */
export interface OfferedTool {
  readonly name: string;
  /** In the shape of chat completions, whichever endpoint it came to: `{type: "function", function: {…}}`. */
  readonly definition: JsonObject;
  /** For example `tools[1]`. */
  readonly at: string;
}

/** A request to a model, as far as anything is decided by it. It was parsed strictly, and has allowed fields only. */
export interface ModelCall {
  readonly endpoint: ModelEndpoint;
  /** As the agent calls it. */
  readonly model: string;
  /** In the order in which the model sees them. */
  readonly instructions: readonly InstructionText[];
  readonly tools: readonly OfferedTool[];
  readonly stream: boolean;
  /** What is forwarded: our own reading of the request, never the agent's bytes. */
  readonly body: JsonObject;
}
