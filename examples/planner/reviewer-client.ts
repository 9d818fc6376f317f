import { randomUUID } from 'node:crypto';
import { SendMessageRequest } from '@a2a-js/sdk';
import { ClientFactory, type Client } from '@a2a-js/sdk/client';

/** An agent that does not answer is not worth waiting for much longer, in ms. */
const TIMEOUT_MS = 5_000;

/** Has an A2A agent look over an answer, with the official SDK. */
export class ReviewerClient {
  readonly #url: string;
  #client: Promise<Client> | undefined;

  /** @param url where its agent card is found: `http://host:port`. */
  constructor(url: string) {
    this.#url = url;
  }

  /** @returns what is missing. @throws what the SDK throws */
  async review(answer: string): Promise<string> {
    this.#client ??= new ClientFactory().createFromUrl(this.#url);
    try {
      const client = await this.#client;
      const message = { messageId: randomUUID(), role: 'ROLE_USER', parts: [{ text: answer }] };
      const request = SendMessageRequest.fromJSON({ message });
      const said = await client.sendMessage(request, { signal: AbortSignal.timeout(TIMEOUT_MS) });
      const content = 'parts' in said ? said.parts[0]?.content : undefined;
      return content?.$case === 'text' ? content.value : '';
    } catch (error) {
      // Next time by a card that is read anew.
      this.#client = undefined;
      throw error;
    }
  }
}
