import { after } from '../../platform/clock.ts';
import type { RandomSource } from '../../platform/random.ts';
import type { OperatorAnswer__Output } from '../../wire/generated/ait/v1/OperatorAnswer.ts';
import type { OperatorQuestion } from '../../wire/generated/ait/v1/OperatorQuestion.ts';
import type { PromptDifference__Output } from '../../wire/generated/ait/v1/PromptDifference.ts';
import type { AuthorityMetrics } from '../authority-metrics.ts';

export type Answer =
  | { readonly outcome: 'answered'; readonly prompts: readonly PromptDifference__Output[] }
  /** `unavailable`: the sidecar says why. `timeout`: it said nothing. `gone`: its stream is over, or there was none. */
  | { readonly outcome: 'unavailable' | 'timeout' | 'gone'; readonly reason: string };

export interface QuestionsOptions {
  readonly random: RandomSource;
  readonly metrics: AuthorityMetrics;
  /** How long a sidecar may take, in ms. Default 5 000. */
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 5_000;
/** Questions that wait for one instance at once: a sidecar must not be kept busy with them. */
const MAX_PENDING = 4;

type Send = (question: OperatorQuestion) => void;

interface Pending {
  readonly send: Send;
  readonly settle: (answer: Answer) => void;
}

/** Operators' questions to instances, over the stream that each instance keeps open to report. */
export class Questions {
  readonly #options: QuestionsOptions;
  /** By instance; the newest stream is the one it reads. */
  readonly #streams = new Map<string, Send[]>();
  readonly #pending = new Map<string, Pending>();

  constructor(options: QuestionsOptions) {
    this.#options = options;
  }

  /** Notes an open stream. @returns what to call when it is over: whatever waits for an answer on it is told. */
  attach(instance: string, send: Send): () => void {
    this.#streams.set(instance, [...(this.#streams.get(instance) ?? []), send]);
    return () => {
      const left = (this.#streams.get(instance) ?? []).filter((other) => other !== send);
      if (left.length > 0) this.#streams.set(instance, left);
      else this.#streams.delete(instance);
      for (const pending of this.#pending.values()) {
        if (pending.send === send) pending.settle({ outcome: 'gone', reason: 'the instance went away' });
      }
    };
  }

  /** How the prompts of an instance differ from the approved ones. Settles within the timeout, and never rejects. */
  async askPromptDifference(instance: string, operator: string): Promise<Answer> {
    const answer = await this.#ask(instance, operator);
    this.#options.metrics.operatorQuestions.add({ result: answer.outcome });
    return answer;
  }

  /** An answer that came on a stream; one that nobody waits for, there, is dropped. */
  take(send: Send, { id, answer, promptDifferences, unavailable }: OperatorAnswer__Output): void {
    const pending = this.#pending.get(id);
    if (pending?.send !== send) return;
    if (answer === 'promptDifferences') {
      pending.settle({ outcome: 'answered', prompts: promptDifferences?.prompts ?? [] });
    } else pending.settle({ outcome: 'unavailable', reason: (unavailable ?? 'it gave no reason').slice(0, 500) });
  }

  #ask(instance: string, operator: string): Promise<Answer> {
    const send = this.#streams.get(instance)?.at(-1);
    if (send === undefined) {
      return Promise.resolve({ outcome: 'gone', reason: 'the instance does not report at the moment' });
    }
    const waiting = [...this.#pending.values()].filter((pending) => pending.send === send);
    if (waiting.length >= MAX_PENDING) {
      return Promise.resolve({ outcome: 'unavailable', reason: 'too many questions wait for this instance already' });
    }
    const { random, timeoutMs = TIMEOUT_MS } = this.#options;
    const id = random.bytes(16).toString('base64url');
    return new Promise((resolve) => {
      const settle = (answer: Answer): void => {
        cancel();
        this.#pending.delete(id);
        resolve(answer);
      };
      const run = (): void => settle({ outcome: 'timeout', reason: `no answer within ${timeoutMs} ms` });
      const cancel = after({ delayMs: timeoutMs, keepAlive: false, run });
      this.#pending.set(id, { send, settle });
      send({ id, operator, promptDifference: {}, question: 'promptDifference' });
    });
  }
}
