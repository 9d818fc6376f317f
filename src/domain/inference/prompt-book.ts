import type { Digest } from '../canonical/digest.ts';
import type { JsonObject } from '../canonical/strict-json.ts';
import type { KnownPrompt } from '../prompt/known-prompt.ts';

/**
 * What is known by its digest. Whoever keeps it has worked out the digest of each thing it gives, so that nothing
 * here can be what it is not; what it does not know is merely compared by digest.
 */
export interface PromptBook {
  /** A prompt that was measured or approved. Without it a template is never matched, and no difference is located. */
  find(digest: Digest): KnownPrompt | undefined;
  /** A tool as its manifest defines it. Without it a tool matches in the very shape that was approved, only. */
  findTool(digest: Digest): JsonObject | undefined;
}
