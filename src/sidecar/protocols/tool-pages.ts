import type { ToolPage } from '../../domain/mcp/tool-page.ts';

/** Lists that are being read page by page at once, for one peer. */
const MAX_LISTS = 64;

/** Where an answer stands among the pages of a list. */
export interface PageRequest {
  /** Of MCP; empty where there is none. */
  readonly mcpSession: string;
  /** Where the page begins; `undefined`: it is the first. */
  readonly cursor: string | undefined;
}

/** Which tools the pages before had, so that with the last one it is known what is missing. */
export class ToolPages {
  readonly #begun = new Map<string, ReadonlySet<string>>();

  /**
   * Takes a page.
   *
   * @param request what it answers; `undefined`: that is not known
   * @returns the names on all pages, where this is the last and none is missing; else `undefined`
   */
  add({ tools, nextCursor }: ToolPage, request: PageRequest | undefined): ReadonlySet<string> | undefined {
    if (request === undefined) return undefined;
    const { mcpSession, cursor } = request;
    const before = cursor === undefined ? NONE : this.#begun.get(keyOf(mcpSession, cursor));
    if (before === undefined) return undefined;
    const names = new Set([...before, ...tools.map(({ name }) => name)]);
    if (nextCursor === undefined) return names;
    const key = keyOf(mcpSession, nextCursor);
    this.#begun.delete(key);
    this.#begun.set(key, names);
    const [oldest] = this.#begun.keys();
    if (this.#begun.size > MAX_LISTS && oldest !== undefined) this.#begun.delete(oldest);
    return undefined;
  }
}

const NONE: ReadonlySet<string> = new Set();

function keyOf(mcpSession: string, cursor: string): string {
  return JSON.stringify([mcpSession, cursor]);
}
