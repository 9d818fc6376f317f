import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

/** Of a call whose connection is cut the SDK hears nothing, and waits for a minute by default. In ms. */
const TIMEOUT_MS = 5_000;

/** Reads in a library that is an MCP server, with the official SDK. */
export class LibrarianClient {
  readonly #url: string;
  #client: Promise<Client> | undefined;

  /** @param url `http://host:port`. */
  constructor(url: string) {
    this.#url = url;
  }

  /** @returns the text of an entry. @throws what the SDK throws */
  async read(name: string): Promise<string> {
    this.#client ??= this.#connect();
    try {
      const client = await this.#client;
      const { content } = await client.callTool({ name: 'read_entry', arguments: { name } }, undefined, {
        timeout: TIMEOUT_MS,
      });
      return (content as readonly { readonly text?: string }[])[0]?.text ?? '';
    } catch (error) {
      // A session ends with the connection that it was on, at the latest with the server.
      this.#client = undefined;
      throw error;
    }
  }

  /** Ends the session; a client that listens to its server does not end by itself. */
  async close(): Promise<void> {
    await (await this.#client)?.close();
  }

  async #connect(): Promise<Client> {
    const client = new Client({ name: 'planner', version: '1.0.0' });
    await client.connect(new StreamableHTTPClientTransport(new URL('/mcp', this.#url)));
    return client;
  }
}
