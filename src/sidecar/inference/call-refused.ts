import type { JsonValue } from '../../domain/canonical/strict-json.ts';
import { REJECTIONS, type Rejection } from '../../domain/rejection.ts';

export interface RefusalWords {
  /** What the agent reads. Default: what the rejection's code means. */
  readonly message?: string;
  /** Which part of the request is meant, such as `messages[0].content`. Default: none. */
  readonly param?: string;
  /** Default: the one of the rejection's code. */
  readonly status?: number;
  /** Further members of the error. */
  readonly more?: Readonly<Record<string, JsonValue>>;
}

/** Why a call to the model is not carried on, as it travels through promises and abort signals. */
export class CallRefused extends Error {
  override readonly name = 'CallRefused';
  readonly rejection: Rejection;
  readonly words: RefusalWords;

  constructor(rejection: Rejection, words: RefusalWords = {}) {
    super(rejection.detail);
    this.rejection = rejection;
    this.words = words;
  }

  /** HTTP status (RFC 9110). */
  get status(): number {
    return this.words.status ?? REJECTIONS[this.rejection.code].http;
  }
}

/** The agent does not wait for its answer any more: nobody is left to be told anything. */
export class AgentHungUp extends Error {
  override readonly name = 'AgentHungUp';
}

/** Why a signal of a call aborted. */
export function endOf(signal: AbortSignal): CallRefused | AgentHungUp {
  const reason: unknown = signal.reason;
  return reason instanceof CallRefused ? reason : new AgentHungUp('the agent hung up');
}

/**
 * The error as clients of OpenAI's API read it. The detail of a rejection is for the operator; the agent gets what the
 * code means, and the id under which the operator finds the rest.
 */
export function errorBody({ rejection, words }: CallRefused, correlationId: string): { readonly error: object } {
  const { message = REJECTIONS[rejection.code].meaning, param = null, more = {} } = words;
  return {
    error: { message, type: 'ait_mesh', param, code: rejection.code, correlation_id: correlationId, ...more },
  };
}
