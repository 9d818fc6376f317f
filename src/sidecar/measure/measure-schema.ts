import * as v from 'valibot';
import { isDigest, type Digest } from '../../domain/canonical/digest.ts';
import { parseDuration } from '../../domain/duration.ts';
import { MAX_PROMPTS } from '../../domain/measurement-json.ts';
import { DIMENSIONS } from '../../domain/measurement.ts';
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
      ],
      'expected a path or a list of paths',
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
      v.description('The system prompts by name: an agent graph has several.'),
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
