import type { JsonValue } from '../canonical/strict-json.ts';
import {
  arrayIn,
  choice,
  flag,
  freeText,
  integer,
  list,
  number,
  object,
  objectIn,
  onlyEmpty,
  pattern,
  rebuild,
  refused,
  stringIn,
  boundedText,
  type FieldRule,
  type ObjectRules,
} from './field-rules.ts';
import {
  CHAT_ASSISTANT_PARTS,
  CHAT_TOOL_PARTS,
  CHAT_USER_PARTS,
  contentRule,
  instructionContent,
} from './message-content.ts';
import { ModelCallError } from './model-call-error.ts';
import { outputFormat } from './output-format.ts';
import { ITEM_ID, MESSAGE_LIMIT, REASONING_EFFORT, SHARED_FIELDS, VERBOSITY } from './shared-fields.ts';
import { TOOL_NAME, toolsRule } from './tool-definition.ts';

const PARTICIPANT = pattern(TOOL_NAME, '1 to 64 letters, digits, underscores and dashes');
const ROLES = ['system', 'developer', 'user', 'assistant', 'tool'] as const;
type Role = (typeof ROLES)[number];

const instruction: ObjectRules = {
  fields: {
    role: freeText,
    content: instructionContent('text'),
    name: refused('unsupported_field', 'an instruction has no name: the model would read it, and it is not approved'),
  },
  required: ['content'],
};

const toolCall = object({
  fields: {
    id: ITEM_ID,
    type: choice(['function']),
    function: object({
      fields: { name: pattern(TOOL_NAME, "a tool's name"), arguments: freeText },
      required: ['name', 'arguments'],
    }),
  },
  required: ['id', 'type', 'function'],
});

const MESSAGES: Readonly<Record<Role, ObjectRules>> = {
  system: instruction,
  developer: instruction,
  user: {
    fields: { role: freeText, content: contentRule(CHAT_USER_PARTS), name: PARTICIPANT },
    required: ['content'],
  },
  assistant: {
    fields: {
      role: freeText,
      content: contentRule(CHAT_ASSISTANT_PARTS),
      name: PARTICIPANT,
      refusal: freeText,
      tool_calls: list(toolCall, 1024),
      annotations: onlyEmpty('annotations come from tools of the service, and there are none; leave them out'),
      audio: refused('unsupported_field', 'answers in sound are not understood here; leave it out'),
      function_call: refused('unsupported_field', 'it is deprecated; use tool_calls'),
    },
  },
  tool: {
    fields: { role: freeText, content: contentRule(CHAT_TOOL_PARTS), tool_call_id: ITEM_ID },
    required: ['content', 'tool_call_id'],
  },
};

const messages: FieldRule = (value, at, found) => {
  const members = arrayIn(value, at, MESSAGE_LIMIT);
  if (members.length === 0) throw new ModelCallError('no_messages', at, 'there is nothing to answer');
  return members.map((message, index) => {
    const where = `${at}[${index}]`;
    const stated = objectIn(message, where)['role'];
    const role = ROLES.find((known) => known === stated);
    if (role === undefined) {
      throw new ModelCallError('bad_role', `${where}.role`, `expected one of ${ROLES.join(', ')}`);
    }
    return rebuild(message, where, { rules: MESSAGES[role], found });
  });
};

const stop: FieldRule = (value, at, found) =>
  typeof value === 'string' ? boundedText(256)(value, at, found) : list(boundedText(256), 4)(value, at, found);

/** It can force any answer, but no more than an agent can that writes the answer itself. */
const logitBias: FieldRule = (value, at) => {
  const entries = Object.entries(objectIn(value, at));
  if (entries.length > 1024) throw new ModelCallError('too_large', at, 'more than 1024 members');
  const kept: Record<string, JsonValue> = {};
  for (const [token, bias] of entries) {
    if (!/^[0-9]{1,10}$/.test(token)) throw new ModelCallError('bad_value', at, 'expected token ids as names');
    if (typeof bias !== 'number') throw new ModelCallError('bad_type', at, 'expected numbers as values');
    kept[token] = bias;
  }
  return kept;
};

const modalities: FieldRule = (value, at) => {
  const asked = arrayIn(value, at, 8).map((member, index) => stringIn(member, `${at}[${index}]`));
  if (asked.some((modality) => modality !== 'text')) {
    throw new ModelCallError('unsupported_value', at, 'only answers in text are understood here');
  }
  return asked;
};

/** `POST /v1/chat/completions`. `tool_choice` is read apart, once all tools are known. */
export const CHAT_COMPLETIONS: ObjectRules = {
  fields: {
    ...SHARED_FIELDS,
    messages,
    tools: toolsRule('chat_completions'),
    stream_options: object({ fields: { include_usage: flag, include_obfuscation: flag } }),
    max_tokens: integer(1),
    max_completion_tokens: integer(1),
    n: integer(1, 128),
    stop,
    presence_penalty: number,
    frequency_penalty: number,
    logit_bias: logitBias,
    logprobs: flag,
    seed: integer(Number.MIN_SAFE_INTEGER),
    response_format: outputFormat('chat_completions'),
    reasoning_effort: REASONING_EFFORT,
    verbosity: VERBOSITY,
    modalities,
    audio: refused('unsupported_field', 'answers in sound are not understood here; leave it out'),
    prediction: refused('unsupported_field', 'a predicted answer is text that nobody approved; leave it out'),
    web_search_options: refused('hosted_tool', 'the service would search by itself; offer a function that searches'),
    functions: refused('unsupported_field', 'it is deprecated; use tools'),
    function_call: refused('unsupported_field', 'it is deprecated; use tool_choice'),
  },
  required: ['model', 'messages'],
};
