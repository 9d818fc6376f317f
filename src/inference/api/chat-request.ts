import type { JsonObject, JsonValue } from '../../domain/canonical/strict-json.ts';
import { anyObjectAt, arrayAt, choiceAt, ShapeError } from '../../domain/json-shape.ts';
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

const ROLES = ['system', 'developer', 'user', 'assistant', 'tool'] as const;
const MAX_STOPS = 4;

/** Reads the body of `POST /v1/chat/completions`. @throws ApiError */
export function readChatRequest(body: JsonObject, models: readonly ServedModel[]): Prompt {
  const model = modelOf(body, models);
  refuseUnless(body, 'n', [1]);
  refuseUnless(body, 'logprobs', [false]);
  refuseUnless(body, 'store', [false]);
  return reading(() => {
    const tools = toolsAt(body['tools'], (tool, at) => ({
      definition: anyObjectAt(tool['function'], `${at}.function`),
      at: `${at}.function`,
    }));
    return {
      model,
      messages: messagesAt(body['messages'], 'messages', readMessage),
      tools,
      toolChoice: toolChoiceAt(body['tool_choice'], tools, ({ type, function: named }) => {
        return type === 'function' ? anyObjectAt(named, 'tool_choice.function')['name'] : undefined;
      }),
      maxTokens: maxTokensAt(body, 'max_completion_tokens', 'max_tokens'),
      stop: readStop(body['stop']),
      stream: optionalFlagAt(body, 'stream'),
      includeUsage: readIncludeUsage(body),
    };
  });
}

function readMessage(message: JsonObject, at: string): PromptMessage {
  const role = choiceAt(message['role'], `${at}.role`, ROLES);
  const { content, tool_calls: calls } = message;
  // An assistant that only called functions has said nothing.
  if ((content === null || content === undefined) && role === 'assistant' && Array.isArray(calls) && calls.length > 0) {
    return { role, text: '' };
  }
  return { role, text: textAt(content, `${at}.content`, ['text']) };
}

function readStop(value: JsonValue | undefined): readonly string[] {
  if (value === undefined || value === null) return [];
  const list = typeof value === 'string' ? [value] : arrayAt(value, 'stop', { min: 1, max: MAX_STOPS });
  return list.map((each) => {
    if (typeof each !== 'string' || each === '') throw new ShapeError('stop', 'not texts that are not empty');
    return each;
  });
}

function readIncludeUsage({ stream_options: options }: JsonObject): boolean {
  if (options === undefined || options === null) return false;
  return optionalFlagAt(anyObjectAt(options, 'stream_options'), 'include_usage');
}
