import { randomUUID } from 'node:crypto';
import { SendMessageRequest } from '@a2a-js/sdk';
import { AgentCardResolver, ClientFactory, type Client } from '@a2a-js/sdk/client';

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
    this.#client ??= this.#find();
    try {
      const client = await this.#client;
      const message = { messageId: randomUUID(), role: 'ROLE_USER', parts: [{ text: answer }] };
      const said = await client.sendMessage(SendMessageRequest.fromJSON({ message }));
      const content = 'parts' in said ? said.parts[0]?.content : undefined;
      return content?.$case === 'text' ? content.value : '';
    } catch (error) {
      // Next time by a card that is read anew.
      this.#client = undefined;
      throw error;
    }
  }

  async #find(): Promise<Client> {
    const card = await AgentCardResolver.default.resolve(this.#url);
    // A card says where the agent itself is; we reach it where our sidecar takes calls to it.
    for (const each of card.supportedInterfaces) each.url = new URL(new URL(each.url).pathname, this.#url).href;
    return new ClientFactory().createFromAgentCard(card);
  }
}
