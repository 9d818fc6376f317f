import type { JsonObject, JsonValue } from '../canonical/strict-json.ts';
import {
  arrayIn,
  choice,
  flag,
  freeText,
  integer,
  list,
  object,
  objectIn,
  onlyFalse,
  pattern,
  rebuild,
  refused,
  stringIn,
  type FieldRule,
  type Found,
  type ObjectRules,
} from './field-rules.ts';
import {
  contentRule,
  instructionContent,
  readInstruction,
  RESPONSES_ASSISTANT_PARTS,
  RESPONSES_USER_PARTS,
} from './message-content.ts';
import { ModelCallError } from './model-call-error.ts';
import type { InstructionText } from './model-call.ts';
import { outputFormat } from './output-format.ts';
import { ITEM_ID, MESSAGE_LIMIT, REASONING_EFFORT, REMEMBERED, SHARED_FIELDS, VERBOSITY } from './shared-fields.ts';
import { TOOL_NAME, toolsRule } from './tool-definition.ts';

const ROLES = ['system', 'developer', 'user', 'assistant'] as const;
type Role = (typeof ROLES)[number];

const STATUS = choice(['in_progress', 'completed', 'incomplete']);
const instruction: ObjectRules = {
  fields: { type: freeText, role: freeText, content: instructionContent('input_text') },
  required: ['content'],
};
/** Answers of the model come back as they were given: with an id and a status. */
const MESSAGES: Readonly<Record<Role, ObjectRules>> = {
  system: instruction,
  developer: instruction,
  user: {
    fields: { type: freeText, role: freeText, content: contentRule(RESPONSES_USER_PARTS), id: ITEM_ID, status: STATUS },
    required: ['content'],
  },
  assistant: {
    fields: {
      type: freeText,
      role: freeText,
      content: contentRule(RESPONSES_ASSISTANT_PARTS),
      id: ITEM_ID,
      status: STATUS,
      phase: choice(['commentary', 'final_answer']),
    },
    required: ['content'],
  },
};

function texts(type: string): FieldRule {
  return list(object({ fields: { type: choice([type]), text: freeText }, required: ['type', 'text'] }), 4096);
}

/** Items that are no messages: calls of the agent's own functions and the model's own reasoning. */
const ITEMS: Readonly<Record<string, ObjectRules>> = {
  function_call: {
    fields: {
      type: freeText,
      id: ITEM_ID,
      call_id: ITEM_ID,
      name: pattern(TOOL_NAME, "a tool's name"),
      arguments: freeText,
      status: STATUS,
    },
    required: ['call_id', 'name', 'arguments'],
  },
  function_call_output: {
    fields: {
      type: freeText,
      id: ITEM_ID,
      call_id: ITEM_ID,
      output: contentRule(RESPONSES_USER_PARTS),
      status: STATUS,
    },
    required: ['call_id', 'output'],
  },
  reasoning: {
    fields: {
      type: freeText,
      id: ITEM_ID,
      summary: texts('summary_text'),
      content: texts('reasoning_text'),
      encrypted_content: freeText,
      status: STATUS,
    },
    required: ['summary'],
  },
};

function readItem(item: JsonValue, at: string, found: Found): JsonObject {
  const { type = 'message', role: stated } = objectIn(item, at);
  if (type === 'message') {
    const role = ROLES.find((known) => known === stated);
    if (role === undefined) {
      throw new ModelCallError('bad_role', `${at}.role`, `expected one of ${ROLES.join(', ')}`);
    }
    return rebuild(item, at, { rules: MESSAGES[role], found });
  }
  const kind = stringIn(type, `${at}.type`);
  if (kind === 'item_reference') throw new ModelCallError('stateful', `${at}.type`, REMEMBERED);
  const rules = Object.hasOwn(ITEMS, kind) ? ITEMS[kind] : undefined;
  if (rules === undefined) {
    const kinds = ['message', ...Object.keys(ITEMS)].join(', ');
    throw new ModelCallError('unsupported_value', `${at}.type`, `an item here is one of: ${kinds}`);
  }
  return rebuild(item, at, { rules, found });
}

const input: FieldRule = (value, at, found) => {
  const empty = () => new ModelCallError('no_messages', at, 'there is nothing to answer');
  if (typeof value === 'string') {
    if (value === '') throw empty();
    return value;
  }
  const items = arrayIn(value, at, MESSAGE_LIMIT);
  if (items.length === 0) throw empty();
  return items.map((item, index) => readItem(item, `${at}[${index}]`, found));
};

/** The model sees them before all items, wherever they stand in the request. */
const instructions: FieldRule = (value, at, found) => {
  const first: InstructionText[] = [];
  const text = readInstruction(value, at, first);
  found.instructions.unshift(...first);
  return text;
};

const HOSTED = 'it concerns tools that the service would run by itself; leave it out';

/** `POST /v1/responses`, without any memory of the service. `tool_choice` is read apart. */
export const RESPONSES: ObjectRules = {
  fields: {
    ...SHARED_FIELDS,
    input,
    instructions,
    tools: toolsRule('responses'),
    stream_options: object({ fields: { include_obfuscation: flag } }),
    max_output_tokens: integer(1),
    max_tool_calls: refused('hosted_tool', HOSTED),
    include: list(choice(['reasoning.encrypted_content', 'message.output_text.logprobs']), 2),
    reasoning: object({
      fields: {
        effort: REASONING_EFFORT,
        summary: choice(['auto', 'concise', 'detailed']),
        generate_summary: choice(['auto', 'concise', 'detailed']),
      },
    }),
    text: object({ fields: { format: outputFormat('responses'), verbosity: VERBOSITY } }),
    // Otherwise the service drops what does not fit, beginning with the first messages: the approved prompt.
    truncation: pattern(/^disabled$/, '"disabled": the service must not drop the beginning of what was checked'),
    previous_response_id: refused('stateful', REMEMBERED),
    conversation: refused('stateful', REMEMBERED),
    prompt: refused('stateful', 'a prompt that the service has stored cannot be checked; send its text'),
    background: onlyFalse('stateful', 'an answer is not kept for later here; leave it out'),
    context_management: refused('stateful', 'the service must not rewrite what was checked; leave it out'),
  },
  required: ['model', 'input'],
};
