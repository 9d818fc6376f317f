import type { Answer, Usage } from '../model/answer.ts';
import type { Prompt } from '../model/prompt.ts';
import type { AnswerFacts, AnswerForm, ServerEvent } from './answer-form.ts';
import { SYSTEM_FINGERPRINT } from './send-json.ts';

/** Chat completions: one choice, usage at the end of a stream where it was asked for. */
export function chatForm({ model, includeUsage }: Prompt, { id, created }: AnswerFacts): AnswerForm {
  const head = { id: `chatcmpl-${id}`, created, model: model.id, system_fingerprint: SYSTEM_FINGERPRINT };
  const chunkHead = { ...head, object: 'chat.completion.chunk' };
  const chunk = (delta: object, finishReason: string | null = null): ServerEvent => ({
    data: {
      ...chunkHead,
      choices: [{ index: 0, delta, logprobs: null, finish_reason: finishReason }],
      ...(includeUsage && { usage: null }),
    },
  });
  const callId = `call_${id}`;
  return {
    whole: (answer) => ({
      ...head,
      object: 'chat.completion',
      choices: [{ index: 0, message: messageOf(answer, callId), logprobs: null, finish_reason: answer.finish }],
      usage: usageJson(answer.usage),
    }),
    opening: ({ call }) => {
      if (call === undefined) return [chunk({ role: 'assistant', content: '', refusal: null })];
      const started = { index: 0, id: callId, type: 'function', function: { name: call, arguments: '' } };
      return [chunk({ role: 'assistant', content: null, tool_calls: [started] })];
    },
    token: (text, { call }) =>
      chunk(call === undefined ? { content: text } : { tool_calls: [{ index: 0, function: { arguments: text } }] }),
    closing: ({ finish, usage }) => [
      chunk({}, finish),
      ...(includeUsage ? [{ data: { ...chunkHead, choices: [], usage: usageJson(usage) } }] : []),
      { data: '[DONE]' },
    ],
  };
}

function messageOf({ call, tokens }: Answer, callId: string): object {
  const text = tokens.join('');
  if (call === undefined) return { role: 'assistant', content: text, refusal: null };
  const calls = [{ id: callId, type: 'function', function: { name: call, arguments: text } }];
  return { role: 'assistant', content: null, refusal: null, tool_calls: calls };
}

function usageJson({ promptTokens, completionTokens }: Usage): object {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
  };
}
