import {
  boundedText,
  choice,
  flag,
  integer,
  number,
  objectIn,
  onlyFalse,
  pattern,
  refused,
  stringIn,
  type FieldRule,
} from './field-rules.ts';
import { ModelCallError } from './model-call-error.ts';
import type { JsonValue } from '../canonical/strict-json.ts';

export const MESSAGE_LIMIT = 100_000;
export const ITEM_ID = pattern(/^[\x21-\x7e]{1,256}$/, 'an id of 1 to 256 printable ASCII characters');
export const REMEMBERED = 'calls are stateless here: put the whole conversation into the request';

/** Opaque to the model: for abuse reports, caches and logs of the service. */
const opaque = boundedText(512);

const metadata: FieldRule = (value, at) => {
  const entries = Object.entries(objectIn(value, at));
  if (entries.length > 16) throw new ModelCallError('too_large', at, 'more than 16 members');
  const kept = Object.create(null) as Record<string, JsonValue>;
  for (const [name, member] of entries) {
    if (name.length > 64) throw new ModelCallError('too_large', at, 'a name is longer than 64 characters');
    const text = stringIn(member, `${at}[*]`);
    if (text.length > 512) throw new ModelCallError('too_large', at, 'a value is longer than 512 characters');
    kept[name] = text;
  }
  return kept;
};

export const REASONING_EFFORT = choice(['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max']);
export const VERBOSITY = choice(['low', 'medium', 'high']);

/**
 * Fields that both endpoints have. Those allowed set how the model samples, how much it says, and how the service goes
 * about it: they neither instruct the model nor make it another.
 */
export const SHARED_FIELDS = {
  model: pattern(/^[\x21-\x7e]{1,256}$/, "a model's id of 1 to 256 printable ASCII characters"),
  stream: flag,
  temperature: number,
  top_p: number,
  top_logprobs: integer(0, 20),
  parallel_tool_calls: flag,
  metadata,
  user: opaque,
  safety_identifier: opaque,
  prompt_cache_key: opaque,
  service_tier: choice(['auto', 'default', 'flex', 'scale', 'priority']),
  prompt_cache_retention: refused('stateful', 'prompts are not kept at the service beyond the call; leave it out'),
  store: onlyFalse('stateful', REMEMBERED),
} as const satisfies Readonly<Record<string, FieldRule>>;
