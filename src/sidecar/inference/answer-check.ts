import { JsonError, parseStrictJson, type JsonObject, type JsonValue } from '../../domain/canonical/strict-json.ts';
import type { ModelEndpoint } from '../../domain/inference/model-call.ts';
import { rejection, type Rejection } from '../../domain/rejection.ts';
import type { ServerEvent } from './event-stream.ts';

/** What the answer to one call must say. */
export interface AnswerRules {
  readonly endpoint: ModelEndpoint;
  /** Names under which the approved model may answer; never empty. */
  readonly models: ReadonlySet<string>;
}

/** What an answer says it took, in tokens. */
export interface Usage {
  readonly prompt: number;
  readonly completion: number;
}

export type AnswerCheck =
  | {
      readonly ok: true;
      readonly usage?: Usage;
      /** What an event says; `undefined` for the mark of the end. */
      readonly message?: JsonObject;
    }
  | { readonly ok: false; readonly rejection: Rejection };

const DONE = '[DONE]';
/** Events of the Responses API after which nothing comes. */
const LAST_RESPONSES_EVENTS: ReadonlySet<string> = new Set([
  'response.completed',
  'response.incomplete',
  'response.failed',
  'error',
]);
const MAX_TOKENS = 1e9;

/**
 * Whether an answer that is not streamed is one of the approved model. Fails closed: an answer that does not say whose
 * it is, is refused.
 *
 * @param text as it came; it is forwarded only if this says so
 */
export function checkAnswer(text: string, rules: AnswerRules): AnswerCheck {
  const answer = readObject(text);
  if (answer === undefined) return invalid('the answer is no JSON object');
  const list = rules.endpoint === 'responses' ? 'output' : 'choices';
  if (!Array.isArray(answer[list])) return invalid(`the answer has no list ${list}`);
  return checkModel(answer, rules) ?? passed(usageOf(answer['usage']));
}

/** The same for a streamed answer, event by event, before the agent gets to see the event. */
export class StreamCheck {
  readonly #rules: AnswerRules;
  #began = false;
  #over = false;

  constructor(rules: AnswerRules) {
    this.#rules = rules;
  }

  /** Whether the event that says that the answer is whole has come. */
  get over(): boolean {
    return this.#over;
  }

  next(event: ServerEvent): AnswerCheck {
    if (this.#over) return invalid('an event after the last one');
    return this.#rules.endpoint === 'responses' ? this.#responses(event) : this.#chat(event);
  }

  #chat({ event, data }: ServerEvent): AnswerCheck {
    if (data === DONE) {
      this.#over = true;
      return this.#began ? passed() : invalid('the stream ended before it began');
    }
    const chunk = readObject(data);
    if (chunk === undefined) return invalid('an event is no JSON object');
    if (chunk['error'] !== undefined || event === 'error') return upstreamFailed();
    if (!Array.isArray(chunk['choices'])) return invalid('an event has no list choices');
    const refused = checkModel(chunk, this.#rules);
    if (refused !== undefined) return refused;
    this.#began = true;
    return { ...passed(usageOf(chunk['usage'])), message: chunk };
  }

  #responses({ event, data }: ServerEvent): AnswerCheck {
    const message = readObject(data);
    if (message === undefined) return invalid('an event is no JSON object');
    const { type, response } = message;
    if (typeof type !== 'string' || (event !== '' && event !== type)) return invalid('an event without its type');
    if (type === 'error' || message['error'] !== undefined) return upstreamFailed();
    const isWhole = isObject(response);
    const refused = isWhole ? checkModel(response, this.#rules) : undefined;
    if (refused !== undefined) return refused;
    // The events in between name no model: the first, and the last, must.
    this.#over = LAST_RESPONSES_EVENTS.has(type);
    if (!isWhole && (!this.#began || this.#over))
      return invalid(`the event ${this.#began ? 'at the end' : 'at the start'} names no model`);
    this.#began = true;
    return { ...passed(isWhole ? usageOf(response['usage']) : undefined), message };
  }
}

/** @returns `undefined` for what is no JSON object. */
export function readObject(text: string): JsonObject | undefined {
  try {
    const value = parseStrictJson(text);
    return isObject(value) ? value : undefined;
  } catch (error) {
    if (error instanceof JsonError) return undefined;
    throw error;
  }
}

export function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function checkModel({ model }: JsonObject, { models }: AnswerRules): AnswerCheck | undefined {
  if (typeof model !== 'string') return invalid('the answer does not say which model gave it');
  if (models.has(model)) return undefined;
  const detail = `the answer is by ${shown(model)}, not by ${[...models].join(' or ')}`;
  return { ok: false, rejection: rejection('INFERENCE_MODEL_CHANGED', detail) };
}

/** What came over the wire, fit for a log line. */
function shown(model: string): string {
  return JSON.stringify(model.slice(0, 100));
}

function invalid(detail: string): AnswerCheck {
  return { ok: false, rejection: rejection('INFERENCE_ANSWER_INVALID', detail) };
}

function upstreamFailed(): AnswerCheck {
  return { ok: false, rejection: rejection('INFERENCE_UNAVAILABLE', 'the model reported an error within its answer') };
}

function passed(usage?: Usage): AnswerCheck & { readonly ok: true } {
  return { ok: true, ...(usage !== undefined && { usage }) };
}

function usageOf(value: JsonValue | undefined): Usage | undefined {
  if (!isObject(value)) return undefined;
  const prompt = value['prompt_tokens'] ?? value['input_tokens'];
  const completion = value['completion_tokens'] ?? value['output_tokens'];
  return isCount(prompt) && isCount(completion) ? { prompt, completion } : undefined;
}

function isCount(value: JsonValue | undefined): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= MAX_TOKENS;
}
