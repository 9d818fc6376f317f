import { resolve } from 'node:path';
import type { Dimension } from '../../domain/measurement.ts';
import { parseSlots, type Slots } from '../../domain/prompt/slot.ts';
import { NOT_APPLICABLE } from '../../domain/state-objects.ts';
import { readSha256, type MeasureSection } from './measure-schema.ts';

export type PromptSource =
  | {
      readonly kind: 'text';
      readonly files: readonly string[];
      /** Whether the files are an ordered set (also of one) rather than a single text. */
      readonly sequence: boolean;
    }
  | { readonly kind: 'template'; readonly files: readonly [string]; readonly slots: Slots }
  /** The statement that a call has no instruction: there is nothing to read. */
  | { readonly kind: 'none'; readonly files: readonly [] };

export type ModelSource =
  | { readonly file: string }
  | {
      readonly provider: string;
      readonly id: string;
      readonly version: string;
      /** An absolute path or a digest. */
      readonly weights?: string;
    };

/** What to measure: paths absolute, defaults filled in, `null` for what the agent does not have. */
export interface MeasureConfig {
  readonly systemPrompt: ReadonlyMap<string, PromptSource> | null;
  readonly knowledgeBase: { readonly manifest: string; readonly root: string } | null;
  readonly model: ModelSource | null;
  readonly tools: { readonly manifest: string } | null;
  readonly intervalMs: number;
  readonly maxPromptBytes: number;
  readonly maxManifestBytes: number;
  readonly agentUid: number | undefined;
  readonly agentGids: readonly number[] | undefined;
  readonly agentCannotWrite: Readonly<Record<Dimension, boolean>>;
}

/** @param folder where relative paths start: the folder of the configuration file. */
export function resolveMeasureConfig(section: MeasureSection, folder: string): MeasureConfig {
  const { system_prompt: prompt, knowledge_base: knowledge, model, tools } = section;
  const absolute = (relative: string): string => resolve(folder, relative);
  return {
    systemPrompt: prompt === NOT_APPLICABLE ? null : promptSources(prompt, absolute),
    knowledgeBase:
      knowledge === NOT_APPLICABLE
        ? null
        : {
            manifest: absolute(knowledge.manifest),
            root: knowledge.root === undefined ? resolve(absolute(knowledge.manifest), '..') : absolute(knowledge.root),
          },
    model: model === NOT_APPLICABLE ? null : modelSource(model, absolute),
    tools: tools === NOT_APPLICABLE ? null : { manifest: absolute(tools.manifest) },
    intervalMs: section.interval,
    maxPromptBytes: section.max_prompt_bytes,
    maxManifestBytes: section.max_manifest_bytes,
    agentUid: section.agent_uid,
    agentGids: section.agent_gids,
    agentCannotWrite: section.agent_cannot_write,
  };
}

type PromptSection = Exclude<MeasureSection['system_prompt'], 'not_applicable'>;

function promptSources(
  prompts: PromptSection,
  absolute: (relative: string) => string,
): ReadonlyMap<string, PromptSource> {
  return new Map(Object.entries(prompts).map(([name, prompt]) => [name, promptSource(prompt, absolute)]));
}

function promptSource(prompt: PromptSection[string], absolute: (relative: string) => string): PromptSource {
  if (typeof prompt === 'string') return { kind: 'text', files: [absolute(prompt)], sequence: false };
  if (Array.isArray(prompt)) return { kind: 'text', files: prompt.map(absolute), sequence: true };
  if ('none' in prompt) return { kind: 'none', files: [] };
  return { kind: 'template', files: [absolute(prompt.file)], slots: parseSlots(prompt.slots) };
}

function modelSource(
  model: Exclude<MeasureSection['model'], 'not_applicable'>,
  absolute: (relative: string) => string,
): ModelSource {
  if ('file' in model) return { file: absolute(model.file) };
  const { weights, ...identity } = model;
  if (weights === undefined) return identity;
  return { ...identity, weights: readSha256(weights) ?? absolute(weights) };
}
