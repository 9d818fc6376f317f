import type { ServerResponse } from 'node:http';
import type { Clock } from '../../platform/clock.ts';
import type { Answer } from '../model/answer.ts';
import { paceTokens } from '../model/token-pace.ts';
import { eventText, type AnswerForm } from './answer-form.ts';
import { sendJson } from './send-json.ts';

export interface SendAnswerOptions {
  readonly response: ServerResponse;
  readonly answer: Answer;
  readonly form: AnswerForm;
  readonly stream: boolean;
  readonly tokensPerSecond: number;
  readonly clock: Clock;
}

/**
 * Sends an answer at the model's pace, whole or as server-sent events. When the caller hangs up, the work stops.
 *
 * @returns whether the caller stayed until the end
 */
export function sendAnswer(options: SendAnswerOptions): Promise<'ok' | 'aborted'> {
  const { response, answer, form, stream, tokensPerSecond, clock } = options;
  if (stream) {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    response.write(form.opening(answer).map(eventText).join(''));
  }
  return new Promise((resolve) => {
    const giveUp = paceTokens({
      count: answer.tokens.length,
      tokensPerSecond,
      clock,
      take: (from, to) => {
        if (!stream) return true;
        const events = answer.tokens.slice(from, to).map((text) => eventText(form.token(text, answer)));
        return response.write(events.join(''));
      },
      whenTaken: (resume) => response.once('drain', resume),
      done: () => {
        if (stream) response.end(form.closing(answer).map(eventText).join(''));
        else sendJson(response, 200, form.whole(answer));
      },
    });
    response.once('close', () => {
      giveUp();
      resolve(response.writableFinished ? 'ok' : 'aborted');
    });
  });
}
