import { AIT_JSON_1, digestJson, type Digest } from '../canonical/digest.ts';
import type { ToolsDigest } from '../measurement.ts';
import type { OfferedTool } from './model-call.ts';
import type { PromptBook } from './prompt-book.ts';
import { sameTool } from './tool-definition.ts';

export interface SeenTool extends OfferedTool {
  /** `ait-json-1` of the definition in the shape of chat completions. */
  readonly digest: Digest;
}

export interface ToolComparison {
  readonly tool: SeenTool;
  readonly fits: boolean;
  /** The approved digest where the tool fits, else its own. */
  readonly digest: Digest;
}

export function seenTools(tools: readonly OfferedTool[]): readonly SeenTool[] {
  return tools.map((tool) => ({ ...tool, digest: digestJson(tool.definition) }));
}

/**
 * Whether each offered tool is approved under its name: as it is, or in another shape that the book knows under the
 * approved digest. Offering fewer tools than approved is fine. Fails closed: where no tool is approved, none fits.
 */
export function compareTools(
  seen: readonly SeenTool[],
  approved: ToolsDigest | null,
  book: PromptBook,
): readonly ToolComparison[] {
  return seen.map((tool) => {
    const expected =
      approved?.canonicalization === AIT_JSON_1 && Object.hasOwn(approved.tools, tool.name)
        ? approved.tools[tool.name]
        : undefined;
    if (expected === undefined) return { tool, fits: false, digest: tool.digest };
    const known = expected === tool.digest ? undefined : book.findTool(expected);
    const fits = expected === tool.digest || (known !== undefined && sameTool(known, tool.definition));
    return { tool, fits, digest: fits ? expected : tool.digest };
  });
}
