import type { JsonObject, JsonValue } from '../canonical/strict-json.ts';
import { CHAT_COMPLETIONS } from './chat-completions.ts';
import { dropped, objectIn, rebuild, type Found, type ObjectRules } from './field-rules.ts';
import type { ModelCall, ModelEndpoint } from './model-call.ts';
import { readToolChoice } from './output-format.ts';
import { RESPONSES } from './responses.ts';

const ENDPOINTS: Readonly<Record<ModelEndpoint, ObjectRules>> = {
  chat_completions: CHAT_COMPLETIONS,
  responses: RESPONSES,
};

/**
 * Reads a request to a model, from strictly parsed JSON, and rebuilds it from what was understood: what nobody looked at
 * is not forwarded. Fails closed: every object has a list of allowed members.
 *
 * **What it cannot see.** Instructions are found where an endpoint says they are: system and developer messages, and
 * `instructions`. User, assistant and tool messages, the arguments of calls, schemas of the output format, `stop` and
 * `logit_bias` are the agent's to fill, and none of it is compared with anything.
 *
 * @throws {import('./model-call-error.ts').ModelCallError}
 */
export function parseModelCall(endpoint: ModelEndpoint, json: JsonValue): ModelCall {
  const found: Found = { instructions: [], tools: [] };
  const { fields, required = [] } = ENDPOINTS[endpoint];
  const body: Record<string, JsonValue> = {
    ...rebuild(json, '', { rules: { fields: { ...fields, tool_choice: dropped }, required }, found }),
  };
  const { tool_choice: asked = null } = objectIn(json, '');
  const choice = asked === null ? undefined : readToolChoice(asked, 'tool_choice', { endpoint, found });
  if (choice !== undefined) body['tool_choice'] = choice;
  // Of this endpoint the default is to keep the conversation.
  if (endpoint === 'responses') body['store'] = false;
  return {
    endpoint,
    model: body['model'] as string,
    instructions: found.instructions,
    tools: found.tools,
    stream: body['stream'] === true,
    body: body satisfies JsonObject,
  };
}
