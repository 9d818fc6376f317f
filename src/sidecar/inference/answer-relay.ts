import type { ServerResponse } from 'node:http';
import { parseStrictJsonBytes } from '../../domain/canonical/strict-json.ts';
import { rejection } from '../../domain/rejection.ts';
import { after } from '../../platform/clock.ts';
import { checkAnswer, isObject, StreamCheck, type AnswerRules, type Usage } from './answer-check.ts';
import { collect } from './attested-connection.ts';
import { CallRefused, errorBody } from './call-refused.ts';
import { EchoAcrossEvents } from './echo-across-events.ts';
import { EventBody } from './event-body.ts';
import { EventReader, EventStreamError, writeEvent } from './event-stream.ts';
import { keyEchoed, throwEchoed } from './key-echo.ts';
import type { UpstreamAnswer } from './upstream.ts';

export interface RelayInput {
  readonly answer: UpstreamAnswer;
  readonly response: ServerResponse;
  readonly correlationId: string;
  /** Ends it at any time; see `endOf`. */
  readonly signal: AbortSignal;
  /** `undefined` for what is no call: then only its form is checked. */
  readonly rules: AnswerRules;
  readonly isStream: boolean;
  readonly limits: { readonly answerBytes: number; readonly eventBytes: number };
  readonly onFirstEvent: () => void;
  readonly onUsage: (usage: Usage) => void;
}

/** What of an answer's head the agent gets to see. Names in lower case. */
const FORWARDED = [
  'ait-simulated',
  'openai-processing-ms',
  'openai-version',
  'retry-after',
  'retry-after-ms',
  'x-request-id',
  'x-should-retry',
];
const RATE_LIMIT = /^x-ratelimit-[a-z-]{1,60}$/;
const EVENTS_HEAD = { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' } as const;
const JSON_TYPE = /^application\/json(?:\s*;.*)?$/i;
const EVENTS_TYPE = /^text\/event-stream(?:\s*;.*)?$/i;
/** Errors that are about the sidecar's own credentials: the agent has none, and must not learn ours from them. */
const OWN_CREDENTIALS: ReadonlySet<number> = new Set([401, 403, 407]);
const MAX_ERROR_BYTES = 64 * 1024;
/** For the agent to read why its answer ends, in ms. */
const LAST_WORDS_MS = 1000;

/**
 * Passes an answer on, checked: not a byte of it before it is known to be of the right form and by the approved model.
 *
 * @returns whether the model answered, or reported an error of its own
 * @throws CallRefused, AgentHungUp; nothing has been written then, or {@link ServerResponse.headersSent}
 */
export async function relayAnswer(input: RelayInput): Promise<'answered' | 'model_error'> {
  const { answer, isStream } = input;
  if (answer.headers['content-encoding'] !== undefined && answer.headers['content-encoding'] !== 'identity') {
    throw invalid('the answer is compressed, which nobody asked for');
  }
  if (answer.status !== 200) {
    await relayError(input);
    return 'model_error';
  }
  if (isStream) await relayEvents(input);
  else await relayWhole(input);
  return 'answered';
}

async function relayWhole({ answer, response, rules, limits, onUsage }: RelayInput): Promise<void> {
  if (!JSON_TYPE.test(answer.headers['content-type'] ?? '')) throw invalid('the answer is not application/json');
  const bytes = await collect(answer, limits.answerBytes);
  const text = textOf(bytes);
  throwEchoed(answer, text);
  const check = checkAnswer(text, rules);
  if (!check.ok) throw new CallRefused(check.rejection);
  if (check.usage !== undefined) onUsage(check.usage);
  response.writeHead(200, { ...forwarded(answer), 'content-type': 'application/json' }).end(bytes);
}

async function relayEvents(input: RelayInput): Promise<void> {
  const { answer, response, signal, rules, limits, onFirstEvent, onUsage } = input;
  if (!EVENTS_TYPE.test(answer.headers['content-type'] ?? '')) throw invalid('the answer is not text/event-stream');
  const reader = new EventReader(limits.eventBytes);
  const check = new StreamCheck(rules);
  const across = answer.echo === undefined ? undefined : new EchoAcrossEvents(answer.echo);
  const body = new EventBody(response);
  await answer.read((chunk) => {
    const { text, refused } = checkChunk(chunk, { answer, reader, check, across, onUsage });
    let isFull = false;
    if (text !== '') {
      if (response.headersSent) isFull = !body.write(text);
      else {
        onFirstEvent();
        isFull = !body.begin({ ...forwarded(answer), ...EVENTS_HEAD }, text);
      }
    }
    if (refused !== undefined) throw refused;
    return isFull ? body.drained(signal) : undefined;
  });
  if (!check.over || !reader.atRest) throw invalid('the answer broke off before its end');
  body.end();
}

/** The model's own error. Its words are passed on where they are an error as the API has them, and nothing else is. */
async function relayError({ answer, response, correlationId }: RelayInput): Promise<void> {
  const { status, headers } = answer;
  if (OWN_CREDENTIALS.has(status)) {
    throw unavailable(`asked with the sidecar's own credentials, the model answered ${status}`);
  }
  if (status < 400 || status > 599) throw invalid(`the model answered with status ${status}`);
  const bytes = await collect(answer, MAX_ERROR_BYTES);
  throwEchoed(answer, bytes.toString('utf8'));
  const error = JSON_TYPE.test(headers['content-type'] ?? '') ? readError(bytes) : undefined;
  if (error === undefined) throw unavailable(`the model answered ${status}, without an error as the API has them`);
  const { message, type, param, code } = error;
  const body = { error: { message, type, param: param ?? null, code: code ?? null, correlation_id: correlationId } };
  response.writeHead(status, { ...forwarded(answer), 'content-type': 'application/json' }).end(JSON.stringify(body));
}

/**
 * An answer that has begun can only be ended: with an error that clients know, and without the mark of a whole one. An
 * agent that does not read it loses its connection: nothing is kept for it.
 */
export function endWithError(response: ServerResponse, cause: CallRefused, correlationId: string): void {
  const { error } = errorBody(cause, correlationId);
  const data = JSON.stringify({ type: 'error', ...error, error });
  response.end(writeEvent({ event: 'error', data }));
  const cancel = after({ delayMs: LAST_WORDS_MS, run: () => response.destroy(), keepAlive: false });
  response.once('close', cancel);
}

/** What of a chunk may go on, and what stands against the rest. */
interface CheckedChunk {
  readonly text: string;
  readonly refused: CallRefused | undefined;
}

function checkChunk(chunk: Buffer, { answer, reader, check, across, onUsage }: ChunkInput): CheckedChunk {
  let text = '';
  try {
    reader.push(chunk, (event) => {
      const written = writeEvent(event);
      // First of all: what an event is refused for may be told in its own words.
      throwEchoed(answer, written);
      const checked = check.next(event);
      if (!checked.ok) throw new CallRefused(checked.rejection);
      if (checked.usage !== undefined) onUsage(checked.usage);
      const passed = across === undefined ? written : across.pass(written, checked.message, check.over);
      if (passed === undefined)
        throw keyEchoed("the key that the sidecar had sent came in pieces in the provider's answer");
      text += passed;
    });
  } catch (error) {
    if (error instanceof CallRefused) return { text, refused: error };
    if (!(error instanceof EventStreamError)) throw error;
    return { text, refused: invalid(`the stream is malformed: ${error.message}`, { cause: error }) };
  }
  return { text, refused: undefined };
}

interface ChunkInput extends Pick<RelayInput, 'answer' | 'onUsage'> {
  readonly reader: EventReader;
  readonly check: StreamCheck;
  readonly across: EchoAcrossEvents | undefined;
}

function readError(bytes: Buffer): Readonly<Record<string, string | null | undefined>> | undefined {
  let value: unknown;
  try {
    value = parseStrictJsonBytes(bytes);
  } catch {
    // Whatever it is, it is no error as the API has them, which the caller says.
    return undefined;
  }
  if (!isObject(value as never)) return undefined;
  const { error } = value as { readonly error?: never };
  if (!isObject(error)) return undefined;
  const text = (name: string) => (typeof error[name] === 'string' ? (error[name] as string) : undefined);
  const message = text('message');
  return message === undefined
    ? undefined
    : { message, type: text('type') ?? 'model_error', param: text('param'), code: text('code') };
}

/** @throws CallRefused */
function forwarded(answer: UpstreamAnswer): Record<string, string> {
  const { headers } = answer;
  const names = Object.keys(headers).filter((name) => FORWARDED.includes(name) || RATE_LIMIT.test(name));
  const fields = names.map((name): [string, string] => [name, String(headers[name])]);
  for (const [name, value] of fields) throwEchoed(answer, `${name}: ${value}`);
  return Object.fromEntries(fields);
}

function textOf(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw invalid('the answer is not UTF-8', { cause });
  }
}

function invalid(detail: string, options?: ErrorOptions): CallRefused {
  const refused = new CallRefused(rejection('INFERENCE_ANSWER_INVALID', detail));
  if (options?.cause !== undefined) refused.cause = options.cause;
  return refused;
}

function unavailable(detail: string): CallRefused {
  return new CallRefused(rejection('INFERENCE_UNAVAILABLE', detail));
}
