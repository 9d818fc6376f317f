import type { Answer } from '../model/answer.ts';

/** How one endpoint says an answer: whole, or as a stream of server-sent events. */
export interface AnswerForm {
  /** The body of an answer that is not streamed. */
  whole(answer: Answer): object;
  /** What stands before the first token. */
  opening(answer: Answer): readonly ServerEvent[];
  token(text: string, answer: Answer): ServerEvent;
  /** What stands after the last. */
  closing(answer: Answer): readonly ServerEvent[];
}

export interface ServerEvent {
  /** Default: none. */
  readonly event?: string;
  readonly data: object | '[DONE]';
}

export function eventText({ event, data }: ServerEvent): string {
  const name = event === undefined ? '' : `event: ${event}\n`;
  return `${name}data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`;
}

/** What every answer is told apart by. */
export interface AnswerFacts {
  /** Random, without prefix. */
  readonly id: string;
  /** Seconds since the epoch. */
  readonly created: number;
}
