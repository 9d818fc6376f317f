import type { JsonObject } from '../../domain/canonical/strict-json.ts';
import type { Answer } from '../model/answer.ts';
import type { Prompt } from '../model/prompt.ts';
import type { AnswerFacts, AnswerForm, ServerEvent } from './answer-form.ts';

/** Responses: one output item, a message or a function call; each event of a stream has its number. */
export function responsesForm(prompt: Prompt, facts: AnswerFacts, body: JsonObject): AnswerForm {
  let sequence = 0;
  const event = (type: string, members: object): ServerEvent => ({
    event: type,
    data: { type, sequence_number: sequence++, ...members },
  });
  const { id } = facts;
  const at = { item_id: `msg_${id}`, output_index: 0, content_index: 0 };
  const callAt = { item_id: `fc_${id}`, output_index: 0 };
  const response = (status: string, answer?: Answer) => responseOf({ prompt, facts, body, status, answer });
  return {
    whole: (answer) => response(statusOf(answer), answer),
    opening: ({ call }) => [
      event('response.created', { response: response('in_progress') }),
      event('response.in_progress', { response: response('in_progress') }),
      event('response.output_item.added', { output_index: 0, item: itemOf(id, { call, text: '' }, 'in_progress') }),
      ...(call === undefined ? [event('response.content_part.added', { ...at, part: partOf('') })] : []),
    ],
    token: (delta, { call }) =>
      call === undefined
        ? event('response.output_text.delta', { ...at, delta, logprobs: [] })
        : event('response.function_call_arguments.delta', { ...callAt, delta }),
    closing: (answer) => {
      const { call } = answer;
      const text = answer.tokens.join('');
      const status = statusOf(answer);
      return [
        ...(call === undefined
          ? [
              event('response.output_text.done', { ...at, text, logprobs: [] }),
              event('response.content_part.done', { ...at, part: partOf(text) }),
            ]
          : [event('response.function_call_arguments.done', { ...callAt, name: call, arguments: text })]),
        event('response.output_item.done', { output_index: 0, item: itemOf(id, { call, text }, status) }),
        event(`response.${status}`, { response: response(status, answer) }),
      ];
    },
  };
}

function statusOf({ finish }: Answer): 'completed' | 'incomplete' {
  return finish === 'length' ? 'incomplete' : 'completed';
}

function responseOf(parts: {
  readonly prompt: Prompt;
  readonly facts: AnswerFacts;
  readonly body: JsonObject;
  readonly status: string;
  readonly answer: Answer | undefined;
}): object {
  const { prompt, facts, body, status, answer } = parts;
  const { instructions = null, max_output_tokens = null, tools = [], tool_choice = 'auto' } = body;
  const text = answer?.tokens.join('') ?? '';
  return {
    id: `resp_${facts.id}`,
    object: 'response',
    created_at: facts.created,
    status,
    error: null,
    incomplete_details: status === 'incomplete' ? { reason: 'max_output_tokens' } : null,
    instructions,
    max_output_tokens,
    model: prompt.model.id,
    output: answer === undefined ? [] : [itemOf(facts.id, { call: answer.call, text }, status)],
    parallel_tool_calls: false,
    previous_response_id: null,
    store: false,
    tools,
    tool_choice,
    metadata: { simulated: 'true' },
    usage: answer === undefined ? null : usageJson(answer),
  };
}

function itemOf(
  id: string,
  { call, text }: { readonly call: string | undefined; readonly text: string },
  status: string,
): object {
  if (call !== undefined) {
    return { id: `fc_${id}`, type: 'function_call', status, call_id: `call_${id}`, name: call, arguments: text };
  }
  const content = status === 'in_progress' ? [] : [partOf(text)];
  return { id: `msg_${id}`, type: 'message', status, role: 'assistant', content };
}

function partOf(text: string): object {
  return { type: 'output_text', text, annotations: [], logprobs: [] };
}

function usageJson({ usage }: Answer): object {
  const { promptTokens, completionTokens } = usage;
  return {
    input_tokens: promptTokens,
    input_tokens_details: { cached_tokens: 0 },
    output_tokens: completionTokens,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens: promptTokens + completionTokens,
  };
}
