import { once } from 'node:events';
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { AgentHungUp, endOf } from './call-refused.ts';

/**
 * The body of a streamed answer. What is given to it leaves in the same step, with one write: Node would make four
 * writes of a chunk (RFC 9112 section 7.1), and send them in the next step. That is most of what a proxy adds to an event.
 */
export class EventBody {
  readonly #response: ServerResponse;
  /** An agent that speaks HTTP/1.0 reads until the end of the connection, without chunks. */
  readonly #isChunked: boolean;

  constructor(response: ServerResponse) {
    this.#response = response;
    this.#isChunked = response.req.httpVersion === '1.1';
  }

  /** With the head goes the first of the body. @returns as {@link write} */
  begin(headers: OutgoingHttpHeaders, text: string): boolean {
    this.#response.writeHead(200, { ...headers, ...(this.#isChunked && { 'transfer-encoding': 'chunked' }) });
    return this.#response.write(text);
  }

  /** @param text not empty: a chunk without bytes is the last one. @returns false: nothing more before {@link drained} */
  write(text: string): boolean {
    const { socket } = this.#response;
    // Without one the agent has hung up, which Node notices here and tells by `close`.
    if (socket === null || !this.#isChunked) return this.#response.write(text);
    return socket.write(`${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`);
  }

  /** Waits for the agent to read on; not longer than the call may go on. @throws CallRefused, AgentHungUp */
  async drained(signal: AbortSignal): Promise<void> {
    try {
      await once(this.#response.socket ?? this.#response, 'drain', { signal });
    } catch (cause) {
      throw signal.aborted ? endOf(signal) : new AgentHungUp('the agent hung up', { cause });
    }
  }

  /** All of it was written. */
  end(): void {
    this.#response.end();
  }
}
