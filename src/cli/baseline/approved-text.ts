import { AIT_SEQ_1, AIT_TEMPLATE_1 } from '../../domain/canonical/digest.ts';
import type { DigestTuple, PromptDigest } from '../../domain/measurement.ts';
import { MeshError } from '../../domain/mesh-error.ts';
import type { MeasureConfig, PromptSource } from '../../sidecar/measure/measure-config.ts';
import type { PromptMemory } from '../../sidecar/measure/prompt-memory.ts';
import { readPrompt } from '../../sidecar/measure/read-system-prompt.ts';

/**
 * Puts approved texts into the memory, so that a drifted prompt can be described. A text counts only if it is the one
 * that the baseline approves.
 *
 * @param options `[name=]file`: the prompt's name may be left out where there is one; the files of an ordered set are
 *   given in their order.
 *   A template has the slots that the configuration declares: a baseline holds no more of them than their digest.
 * @throws MeshError `CONFIG_INVALID`, MeasurementProblem
 */
export function rememberApproved(
  options: readonly string[],
  { digests, memory, config }: { digests: DigestTuple; memory: PromptMemory; config: MeasureConfig },
): void {
  const prompts = digests.system_prompt?.prompts ?? {};
  const names = Object.keys(prompts);
  const files = new Map<string, string[]>();
  for (const option of options) {
    const name = names.find((each) => option.startsWith(`${each}=`)) ?? (names.length === 1 ? names[0] : undefined);
    if (name === undefined) {
      throw new MeshError('CONFIG_INVALID', `--approved-text ${option}: which prompt is it?`, {
        hint: `write --approved-text <name>=${option}, the name being one of: ${names.join(', ')}`,
      });
    }
    const file = option.startsWith(`${name}=`) ? option.slice(name.length + 1) : option;
    files.set(name, [...(files.get(name) ?? []), file]);
  }
  for (const [name, paths] of files) {
    const declared = config.systemPrompt?.get(name);
    const approved = prompts[name];
    if (approved === undefined) continue;
    const { known, digest } = readPrompt(sourceOf(paths, { name, approved, declared }), config.maxPromptBytes);
    const { hash } = digest;
    if (hash !== approved.hash) {
      throw new MeshError('CONFIG_INVALID', `${paths.join(', ')}: not the text that the baseline approves as ${name}`, {
        hint: `its digest is ${hash}, the approved one ${approved.hash}`,
      });
    }
    memory.observe(hash, known);
  }
}

function sourceOf(
  paths: readonly string[],
  { name, approved, declared }: { name: string; approved: PromptDigest; declared: PromptSource | undefined },
): PromptSource {
  if (approved.canonicalization !== AIT_TEMPLATE_1) {
    return { kind: 'text', files: paths, sequence: approved.canonicalization === AIT_SEQ_1 };
  }
  const [file, ...more] = paths;
  if (declared?.kind !== 'template' || file === undefined || more.length > 0) {
    throw new MeshError('CONFIG_INVALID', `the baseline approves ${name} as a template: one file, with slots`, {
      hint: `declare its slots in the configuration, under measure.system_prompt.${name}.slots`,
    });
  }
  return { kind: 'template', files: [file], slots: declared.slots };
}
