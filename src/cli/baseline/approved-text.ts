import { AIT_SEQ_1 } from '../../domain/canonical/digest.ts';
import type { DigestTuple } from '../../domain/measurement.ts';
import { MeshError } from '../../domain/mesh-error.ts';
import type { PromptMemory } from '../../sidecar/measure/prompt-memory.ts';
import { digestOfParts, readText } from '../../sidecar/measure/read-system-prompt.ts';

/**
 * Puts approved texts into the memory, so that a drifted prompt can be described. A text counts only if it is the one
 * that the baseline approves.
 *
 * @param options `[name=]file`: the prompt's name may be left out where there is one; the files of an ordered set are
 *   given in their order.
 * @throws MeshError `CONFIG_INVALID`, MeasurementProblem
 */
export function rememberApproved(
  options: readonly string[],
  { digests, memory, maxBytes }: { digests: DigestTuple; memory: PromptMemory; maxBytes: number },
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
    const approved = prompts[name];
    if (approved === undefined) continue;
    const texts = paths.map((path) => readText(path, maxBytes));
    const { hash } = digestOfParts(texts, approved.canonicalization === AIT_SEQ_1);
    if (hash !== approved.hash) {
      throw new MeshError('CONFIG_INVALID', `${paths.join(', ')}: not the text that the baseline approves as ${name}`, {
        hint: `its digest is ${hash}, the approved one ${approved.hash}`,
      });
    }
    memory.observe(hash, texts);
  }
}
