import type { JsonObject, JsonValue } from '../../domain/canonical/strict-json.ts';
import { choiceAt, ShapeError } from '../../domain/json-shape.ts';
import type { ServedModel } from '../config.ts';
import type { Prompt, PromptMessage } from '../model/prompt.ts';
import {
  maxTokensAt,
  messagesAt,
  modelOf,
  optionalFlagAt,
  reading,
  refuseUnless,
  textAt,
  toolChoiceAt,
  toolsAt,
} from './prompt-reader.ts';

const ROLES = ['system', 'developer', 'user', 'assistant'] as const;
const TEXT_PARTS = ['input_text', 'output_text'];

/** Reads the body of `POST /v1/responses`. Nothing is remembered here, so whatever needs a memory is refused. @throws ApiError */
export function readResponsesRequest(body: JsonObject, models: readonly ServedModel[]): Prompt {
  const model = modelOf(body, models);
  for (const name of ['previous_response_id', 'conversation', 'prompt']) refuseUnless(body, name, []);
  for (const name of ['store', 'background']) refuseUnless(body, name, [false]);
  return reading(() => {
    const tools = toolsAt(body['tools'], (definition, at) => ({ definition, at }));
    return {
      model,
      messages: [...readInstructions(body['instructions']), ...readInput(body['input'])],
      tools,
      toolChoice: toolChoiceAt(body['tool_choice'], tools, ({ type, name }) =>
        type === 'function' ? name : undefined,
      ),
      maxTokens: maxTokensAt(body, 'max_output_tokens'),
      stop: [],
      stream: optionalFlagAt(body, 'stream'),
      includeUsage: false,
    };
  });
}

function readInstructions(value: JsonValue | undefined): readonly PromptMessage[] {
  if (value === undefined || value === null) return [];
  if (typeof value !== 'string') throw new ShapeError('instructions', 'not a string');
  return [{ role: 'system', text: value }];
}

function readInput(value: JsonValue | undefined): readonly PromptMessage[] {
  return typeof value === 'string' ? [{ role: 'user', text: value }] : messagesAt(value, 'input', readItem);
}

function readItem(item: JsonObject, at: string): PromptMessage {
  switch (item['type'] ?? 'message') {
    case 'message': {
      const role = choiceAt(item['role'], `${at}.role`, ROLES);
      return { role, text: textAt(item['content'], `${at}.content`, TEXT_PARTS) };
    }
    case 'function_call':
      return { role: 'assistant', text: '' };
    case 'function_call_output':
      return { role: 'tool', text: textAt(item['output'], `${at}.output`, TEXT_PARTS) };
    default:
      throw new ShapeError(`${at}.type`, 'not message, function_call or function_call_output');
  }
}
