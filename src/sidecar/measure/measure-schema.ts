import * as v from 'valibot';
import { isDigest, type Digest } from '../../domain/canonical/digest.ts';
import { parseDuration } from '../../domain/duration.ts';
import { MAX_PROMPTS } from '../../domain/measurement-json.ts';
import { DIMENSIONS } from '../../domain/measurement.ts';
import {
  DEFAULT_ID_LENGTH,
  ENUM_VALUE,
  MAX_ENUM_VALUES,
  MAX_ID_LENGTH,
  MAX_SLOTS,
  SLOT_NAME,
} from '../../domain/prompt/slot.ts';
import { NOT_APPLICABLE } from '../../domain/state-objects.ts';

/** Names, providers and versions go to logs and consoles: no control, format or line-breaking characters. */
export const PRINTABLE = /^[^\p{C}\p{Zl}\p{Zp}]{1,256}$/u;
/** Names of prompts and tools. */
export const ASCII_NAME = /^[\x20-\x7e]{1,128}$/;
const BARE_SHA256 = /^[0-9a-f]{64}$/;

/** Both spellings in which weights and entries state a digest; `undefined` for anything else. */
export function readSha256(text: string): Digest | undefined {
  if (isDigest(text)) return text;
  return BARE_SHA256.test(text) ? `sha256:${text}` : undefined;
}

const pathText = v.pipe(
  v.string(),
  v.minLength(1),
  v.maxLength(4096),
  v.check((text) => !text.includes('\0'), 'a path holds no NUL'),
);
const path = (text: string) => v.pipe(pathText, v.description(text));
const shortText = (text: string) =>
  v.pipe(v.string(), v.regex(PRINTABLE, 'expected 1 to 256 printable characters'), v.description(text));
const notApplicable = v.pipe(v.literal(NOT_APPLICABLE), v.description('The agent has nothing of the kind.'));

const interval = v.pipe(
  v.optional(v.string(), '5s'),
  v.description('How often everything is measured again, besides on every event. 100ms to 10m, default 5s.'),
  v.rawTransform(({ dataset, addIssue, NEVER }) => {
    try {
      return parseDuration(dataset.value);
    } catch (error) {
      addIssue({ message: error instanceof Error ? error.message : String(error) });
      return NEVER;
    }
  }),
  v.minValue(100, 'at least 100 ms'),
  v.maxValue(600_000, 'at most 10 minutes'),
);
const byteCount = (text: string) =>
  v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(2 ** 28), v.description(text));
const accountId = (text: string) =>
  v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(2 ** 32 - 2), v.description(text));

const slotName = v.pipe(v.string(), v.regex(SLOT_NAME, 'a slot has a name of 1 to 64 letters, digits and underscores'));
const boundary = (text: string) => v.pipe(v.number(), v.safeInteger('expected an integer'), v.description(text));
const slot = v.variant('type', [
  v.strictObject({
    type: v.pipe(v.literal('enum'), v.description('One of some texts.')),
    values: v.pipe(
      v.array(v.pipe(v.string(), v.regex(ENUM_VALUE, 'expected 1 to 256 printable characters on one line'))),
      v.minLength(1),
      v.maxLength(MAX_ENUM_VALUES),
      v.check((values) => new Set(values).size === values.length, 'a value is there twice'),
      v.description('The texts, in any order.'),
    ),
  }),
  v.pipe(
    v.strictObject({
      type: v.pipe(v.literal('integer'), v.description('A decimal integer without leading zeros.')),
      min: boundary('The smallest.'),
      max: boundary('The largest.'),
    }),
    v.check(({ min, max }) => min <= max, 'min is larger than max'),
  ),
  v.strictObject({
    type: v.pipe(v.literal('date'), v.description('A calendar date that exists, as in 2026-01-31.')),
  }),
  v.strictObject({
    type: v.pipe(v.literal('id'), v.description('Letters A to Z and a to z, digits, _ and -.')),
    max_length: v.optional(
      v.pipe(
        v.number(),
        v.integer(),
        v.minValue(1),
        v.maxValue(MAX_ID_LENGTH),
        v.description(`Most characters. 1 to ${MAX_ID_LENGTH}, default ${DEFAULT_ID_LENGTH}.`),
      ),
      DEFAULT_ID_LENGTH,
    ),
  }),
]);
const slots = v.pipe(
  v.record(slotName, slot),
  v.check((map) => Object.keys(map).length > 0, 'declare at least one slot, or write the path alone'),
  v.check((map) => Object.keys(map).length <= MAX_SLOTS, `more than ${MAX_SLOTS} slots`),
  v.description('What may stand for each {{name}} in the file: never a line break, never free text.'),
);

const prompts = v.pipe(
  v.record(
    v.pipe(v.string(), v.regex(ASCII_NAME, 'a prompt has a name of 1 to 128 printable ASCII characters')),
    v.union(
      [
        path('A file, hashed under ait-text-1.'),
        v.pipe(
          v.array(pathText),
          v.minLength(1),
          v.maxLength(64),
          v.description('An ordered set of files, hashed under ait-seq-1 over the digests of their texts.'),
        ),
        v.pipe(
          v.strictObject({ file: path('A file with slots as {{name}}.'), slots }),
          v.description('A template, hashed under ait-template-1 over its text and the declarations of its slots.'),
        ),
        v.pipe(
          v.strictObject({ none: v.literal(true) }),
          v.description('A call without any instruction, approved as such under ait-none-1.'),
        ),
      ],
      'expected a path, a list of paths, {file, slots} or {none: true}',
    ),
  ),
  v.check((map) => Object.keys(map).length > 0, `name at least one prompt, or say ${NOT_APPLICABLE}`),
  v.check((map) => Object.keys(map).length <= MAX_PROMPTS, `more than ${MAX_PROMPTS} prompts`),
);

const inlineModel = v.strictObject({
  provider: shortText('Who serves or made the model.'),
  id: shortText("The model's name."),
  version: shortText("The model's version, as the provider calls it."),
  weights: v.optional(path('The file of weights, or sha256:… of it (then only declared). Default: none.')),
});

/** The section `measure` of a sidecar's configuration, as it stands in the file. */
export const measureSection = v.pipe(
  v.strictObject({
    system_prompt: v.pipe(
      v.union([notApplicable, prompts], `expected prompts by name, or ${NOT_APPLICABLE}`),
      v.description('The system prompts by name: an agent graph has several. A call uses one of them.'),
    ),
    knowledge_base: v.pipe(
      v.union(
        [
          notApplicable,
          v.strictObject({
            manifest: path('JSON: {version, entries: [{name, sha256, path?}]}. An entry with a path is hashed again.'),
            root: v.optional(path("The folder that entries' paths are below. Default: the manifest's own.")),
          }),
        ],
        `expected {manifest, root?}, or ${NOT_APPLICABLE}`,
      ),
      v.description('What the agent retrieves from.'),
    ),
    model: v.pipe(
      v.union(
        [
          notApplicable,
          v.strictObject({ file: path('JSON: {provider, id, version, weights?}; weights: a path or a SHA-256.') }),
          inlineModel,
        ],
        `expected {file} or {provider, id, version, weights?}, or ${NOT_APPLICABLE}`,
      ),
      v.description('The model the agent calls. Written here, in the configuration, it is only ever declared.'),
    ),
    tools: v.pipe(
      v.union(
        [
          notApplicable,
          v.strictObject({ manifest: path('JSON: an array of tool definitions (OpenAI or MCP), or {tools: […]}.') }),
        ],
        `expected {manifest}, or ${NOT_APPLICABLE}`,
      ),
      v.description('The tools the agent may use.'),
    ),
    interval,
    max_prompt_bytes: v.optional(byteCount('The largest prompt file, in bytes. Default 1 MiB.'), 1_048_576),
    max_manifest_bytes: v.optional(byteCount('The largest manifest, in bytes. Default 4 MiB.'), 4_194_304),
    agent_uid: v.optional(accountId("The agent's user id; with it the sidecar can see what the agent cannot write.")),
    agent_gids: v.optional(
      v.pipe(
        v.array(accountId('A group id.')),
        v.maxLength(1024),
        v.description("All of the agent's groups. Left out: whatever any group may write counts as the agent's."),
      ),
    ),
    agent_cannot_write: v.optional(
      v.pipe(
        v.strictObject({
          system_prompt: v.optional(v.boolean(), false),
          knowledge_base: v.optional(v.boolean(), false),
          model: v.optional(v.boolean(), false),
          tools: v.optional(v.boolean(), false),
        }),
        v.description(
          "The platform engineer's statement that the agent cannot write a dimension's sources: a volume mounted read-only into its container.",
        ),
      ),
      {},
    ),
  }),
  v.check(
    (section) => DIMENSIONS.some((dimension) => section[dimension] !== NOT_APPLICABLE),
    'an agent of which nothing is measured cannot be told from another',
  ),
  v.description('What makes the agent that agent, and where it lies. Relative paths start at the folder of this file.'),
);

export type MeasureSection = v.InferOutput<typeof measureSection>;
