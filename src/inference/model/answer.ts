import { canonicalizeJson } from '../../domain/canonical/jcs.ts';
import type { OfferedFunction, Prompt } from './prompt.ts';
import { exampleOf } from './schema-example.ts';
import { seedOf, wordsOf } from './words.ts';

export interface Usage {
  readonly promptTokens: number;
  readonly completionTokens: number;
}

/** All that a model says to one prompt. */
export interface Answer {
  /** The function that it calls; `undefined`: it answers in words. */
  readonly call: string | undefined;
  /** The tokens one by one: of the text, or of the call's arguments (JSON). */
  readonly tokens: readonly string[];
  readonly finish: 'stop' | 'length' | 'tool_calls';
  readonly usage: Usage;
}

/** So that nobody takes the words for a model's. */
const OPENING = ['Simulated', ' answer:'] as const;
const FEWEST_WORDS = 16;
const MAX_WORDS = 100_000;
const WRITE_WORDS = /(?:^|[^A-Za-z0-9])write ([1-9][0-9]{0,5}) words(?:$|[^A-Za-z0-9])/;
const PART_OF_A_NAME = /[A-Za-z0-9_-]/;

/**
 * What the simulated model says: a function of model and messages, and of nothing else but where to stop.
 *
 * - `call <function>` in the last message, if that is the user's, calls the function that is offered by this name, with
 *   arguments made from its schema. So does a `tool_choice` that demands it.
 * - `write <n> words` in the last user message makes the answer that long, up to 100000.
 * - Otherwise it is 16 to 79 words.
 *
 * A token is a word with the space before it; a call's arguments are one token for each comma.
 */
export function answerTo(prompt: Prompt): Answer {
  const { model, messages, maxTokens = Infinity } = prompt;
  const seed = seedOf(model.id, messages);
  const promptTokens = messages.reduce((sum, { text }) => sum + countWords(text), 0);
  const called = calledFunction(prompt);
  if (called !== undefined) {
    const tokens = canonicalizeJson(exampleOf(called.parameters, wordsOf(seed, 1)[0] ?? '')).split(/(?<=,)/);
    return {
      call: called.name,
      tokens,
      finish: 'tool_calls',
      usage: { promptTokens, completionTokens: tokens.length },
    };
  }
  const wanted = [...OPENING, ...wordsOf(seed, wordCount(prompt, seed)).map((word) => ` ${word}`)];
  const before = cutBeforeStop(wanted, prompt.stop);
  const tokens = before.slice(0, maxTokens);
  const finish = tokens.length < before.length ? 'length' : 'stop';
  return { call: undefined, tokens, finish, usage: { promptTokens, completionTokens: tokens.length } };
}

function wordCount({ messages }: Prompt, seed: Buffer): number {
  const asked = WRITE_WORDS.exec(messages.findLast(({ role }) => role === 'user')?.text ?? '')?.[1];
  return asked === undefined ? FEWEST_WORDS + ((seed[0] ?? 0) % 64) : Math.min(Number(asked), MAX_WORDS);
}

function calledFunction({ messages, tools, toolChoice }: Prompt): OfferedFunction | undefined {
  if (toolChoice === 'none') return undefined;
  const last = messages.at(-1);
  // After a result it answers in words, or a demanded call would never end.
  if (last?.role !== 'user') return undefined;
  if (typeof toolChoice === 'object') return tools.find(({ name }) => name === toolChoice.named);
  const asked = tools.find(({ name }) => asksFor(last.text, name));
  return asked ?? (toolChoice === 'required' ? tools[0] : undefined);
}

/** `call search` does not ask for `search_all`, nor does `recall search` ask for anything. */
function asksFor(text: string, name: string): boolean {
  const words = `call ${name}`;
  for (let at = text.indexOf(words); at !== -1; at = text.indexOf(words, at + 1)) {
    const around = [text.charAt(at - 1), text.charAt(at + words.length)];
    if (around.every((char) => !PART_OF_A_NAME.test(char))) return true;
  }
  return false;
}

function cutBeforeStop(tokens: readonly string[], stop: readonly string[]): readonly string[] {
  if (stop.length === 0) return tokens;
  const text = tokens.join('');
  const ends = stop.map((each) => text.indexOf(each)).filter((at) => at !== -1);
  if (ends.length === 0) return tokens;
  const end = Math.min(...ends);
  const kept: string[] = [];
  for (let at = 0, index = 0; at < end; index += 1) {
    const token = (tokens[index] ?? '').slice(0, end - at);
    kept.push(token);
    at += token.length;
  }
  return kept;
}

/** Without a list of them: a prompt may have megabytes. */
function countWords(text: string): number {
  let count = 0;
  let inside = false;
  for (let at = 0; at < text.length; at += 1) {
    const space = text.charCodeAt(at) <= 0x20;
    if (!space && !inside) count += 1;
    inside = !space;
  }
  return count;
}
