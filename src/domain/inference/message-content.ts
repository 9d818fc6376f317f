import { canonicalizeString, TextError } from '../canonical/text.ts';
import type { JsonValue } from '../canonical/strict-json.ts';
import {
  arrayIn,
  choice,
  dropped,
  freeText,
  object,
  objectIn,
  onlyEmpty,
  pattern,
  rebuild,
  refused,
  stringIn,
  type FieldRule,
  type ObjectRules,
} from './field-rules.ts';
import { ModelCallError } from './model-call-error.ts';
import type { InstructionText } from './model-call.ts';

/** Parts of one message. */
const MAX_PARTS = 4096;
const MEDIA = pattern(/^(?:https:\/\/|data:)/, 'an https: or data: URL');
const DETAIL = choice(['auto', 'low', 'high', 'original']);
const BY_REFERENCE = refused('stateful', 'a file is not referred to by an id here; send its content');
const AUDIO = object({
  fields: { data: freeText, format: choice(['wav', 'mp3']) },
  required: ['data', 'format'],
});
const NO_ANNOTATIONS = onlyEmpty('annotations come from tools of the service, and there are none; leave them out');

/** The kinds of parts, by their `type`. */
export type PartRules = Readonly<Record<string, ObjectRules>>;

/** Rules of a part: `type` is checked by whoever looked them up. */
function part(fields: Readonly<Record<string, FieldRule>>, required: readonly string[]): ObjectRules {
  return { fields: { type: freeText, ...fields }, required: ['type', ...required] };
}

const REFUSAL = part({ refusal: freeText }, ['refusal']);

export const CHAT_USER_PARTS: PartRules = {
  text: part({ text: freeText }, ['text']),
  image_url: part({ image_url: object({ fields: { url: MEDIA, detail: DETAIL }, required: ['url'] }) }, ['image_url']),
  input_audio: part({ input_audio: AUDIO }, ['input_audio']),
  file: part(
    {
      file: object({
        fields: { file_data: freeText, filename: freeText, file_id: BY_REFERENCE },
        required: ['file_data'],
      }),
    },
    ['file'],
  ),
};
export const CHAT_ASSISTANT_PARTS: PartRules = { text: part({ text: freeText }, ['text']), refusal: REFUSAL };
export const CHAT_TOOL_PARTS: PartRules = { text: part({ text: freeText }, ['text']) };

export const RESPONSES_USER_PARTS: PartRules = {
  input_text: part({ text: freeText }, ['text']),
  input_image: part({ image_url: MEDIA, detail: DETAIL, file_id: BY_REFERENCE }, ['image_url']),
  input_audio: part({ input_audio: AUDIO }, ['input_audio']),
  input_file: part(
    { file_data: freeText, filename: freeText, file_url: MEDIA, detail: DETAIL, file_id: BY_REFERENCE },
    [],
  ),
};
export const RESPONSES_ASSISTANT_PARTS: PartRules = {
  input_text: part({ text: freeText }, ['text']),
  // A server that asks for `annotations` finds the empty list that it sent.
  output_text: part({ text: freeText, annotations: withEmptyList(NO_ANNOTATIONS), logprobs: dropped }, ['text']),
  refusal: REFUSAL,
};

function withEmptyList(rule: FieldRule): FieldRule {
  return (value, at, found) => {
    rule(value, at, found);
    return [];
  };
}

/** A string, or a list of parts of the given kinds; nothing of it is compared. */
export function contentRule(parts: PartRules): FieldRule {
  return (value, at, found) => {
    if (typeof value === 'string') return value;
    return arrayIn(value, at, MAX_PARTS).map((member, index) => {
      const where = `${at}[${index}]`;
      const type = stringIn(objectIn(member, where)['type'], `${where}.type`);
      const rules = Object.hasOwn(parts, type) ? parts[type] : undefined;
      if (rules === undefined) {
        const kinds = Object.keys(parts).join(', ');
        throw new ModelCallError('unsupported_value', `${where}.type`, `a part here is one of: ${kinds}`);
      }
      return rebuild(member, where, { rules, found });
    });
  };
}

/**
 * What a system or developer message says: a string, or parts of one kind that hold text. Each text is an instruction
 * of its own: a prompt that was approved as one text does not pass in two pieces.
 *
 * @param partType how the endpoint calls a part with text.
 */
export function instructionContent(partType: 'text' | 'input_text'): FieldRule {
  const rules = part({ text: instruction }, ['text']);
  return (value, at, found) => {
    if (typeof value === 'string') return instruction(value, at, found);
    const members = arrayIn(value, at, MAX_PARTS);
    if (members.length === 0) throw new ModelCallError('bad_text', at, 'it is empty; leave the message out');
    return members.map((member, index) => {
      const where = `${at}[${index}]`;
      if (objectIn(member, where)['type'] !== partType) {
        const why = `a system or developer message has only parts of type "${partType}"`;
        throw new ModelCallError('unsupported_value', `${where}.type`, why);
      }
      return rebuild(member, where, { rules, found });
    });
  };
}

const instruction: FieldRule = (value, at, found) => readInstruction(value, at, found.instructions);

/**
 * Notes an instruction text in its canonical form, which is also what is forwarded: the model gets the very text that is
 * compared.
 *
 * @throws {ModelCallError} `bad_type`, `bad_text`
 */
export function readInstruction(value: JsonValue, at: string, instructions: InstructionText[]): string {
  const text = canonicalInstruction(stringIn(value, at), at);
  instructions.push({ text, at });
  return text;
}

function canonicalInstruction(text: string, at: string): string {
  try {
    return canonicalizeString(text);
  } catch (cause) {
    if (!(cause instanceof TextError)) throw cause;
    const why = cause.code === 'empty' ? 'it is empty; leave it out' : 'it contains a NUL character';
    throw new ModelCallError('bad_text', at, why, { cause });
  }
}
