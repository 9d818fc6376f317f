import type { TLSSocket } from 'node:tls';
import type { ExchangeResponse } from '../../wire/generated/ait/v1/ExchangeResponse.ts';
import type { ExchangeRequest__Output } from '../../wire/generated/ait/v1/ExchangeRequest.ts';
import type { ExchangeResponse__Output } from '../../wire/generated/ait/v1/ExchangeResponse.ts';
import { toEnding, type PeerEnding } from '../../wire/wire-reason.ts';
import type { ControlLink } from '../session/session.ts';

/** What we use of a grpc-js call; the declared types of its two sides share no base that says this. */
export interface MessageStream {
  on(event: 'data', listener: (message: IncomingMessage) => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
  once(event: 'end' | 'close' | 'cancelled', listener: () => void): unknown;
  write(message: OutgoingMessage): unknown;
  end(): unknown;
}

/** Both directions carry the same messages, but for the acceptor's `reconnect`; what differs is when each may be sent. */
export type OutgoingMessage = ExchangeResponse;
export type IncomingMessage = ExchangeRequest__Output | ExchangeResponse__Output;

/** How many messages may wait to be judged; more is a peer that talks faster than we can check. */
const MAX_WAITING = 16;

/** How long the last words may take to leave before the socket goes, in milliseconds. */
export const LAST_WORDS_MS = 50;

/**
 * One Exchange stream, on either side, as a sequence of messages to await and a way to write and to end.
 *
 * The stream ends with its connection: a control connection carries one exchange and nothing else.
 */
export class ControlStream implements ControlLink {
  readonly #stream: MessageStream;
  readonly #socket: TLSSocket;
  readonly #queue: IncomingMessage[] = [];
  readonly closed: Promise<void>;
  #wake: (() => void) | undefined;
  #ended = false;
  #closing = false;
  #overflowed = false;

  /** @param stream the grpc-js call; @param socket the TLS connection under it. */
  constructor(stream: MessageStream, socket: TLSSocket) {
    this.#stream = stream;
    this.#socket = socket;
    this.closed = new Promise((resolve) => {
      socket.once('close', () => resolve());
      if (socket.destroyed) resolve();
    });
    stream.on('data', (message: IncomingMessage) => this.#receive(message));
    const finish = () => this.#finish();
    stream.once('end', finish);
    stream.once('close', finish);
    stream.once('cancelled', finish);
    // The status that comes with it says nothing the peer's last message did not say, and nothing we could trust.
    stream.on('error', finish);
    socket.once('close', finish);
  }

  /** Whether more messages came than may wait. The stream is then at its end. */
  get overflowed(): boolean {
    return this.#overflowed;
  }

  send(message: OutgoingMessage): void {
    if (this.#closing || this.#ended) return;
    this.#stream.write(message);
  }

  /** @returns the next message, or `undefined` once the stream is over. One caller at a time. */
  async next(): Promise<IncomingMessage | undefined> {
    while (this.#queue.length === 0) {
      if (this.#ended) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.#queue.shift();
  }

  askToReconnect(): void {
    this.send({ reconnect: {} });
  }

  sayGoodbye(ending: PeerEnding, refusal: boolean): void {
    const words = toEnding(ending.reason, ending.correlationId);
    this.send(refusal ? { reject: words } : { goodbye: words });
  }

  closeSoon(): void {
    if (this.#closing) return;
    this.#closing = true;
    const destroy = () => this.#socket.destroy();
    const timer = setTimeout(destroy, LAST_WORDS_MS);
    this.#socket.once('close', () => clearTimeout(timer));
    // On the accepting side the end of the call flushes what was written and closes the stream in good order.
    this.#stream.end();
    this.#finish();
  }

  #receive(message: IncomingMessage): void {
    if (this.#ended) return;
    if (this.#queue.length >= MAX_WAITING) {
      this.#overflowed = true;
      this.#finish();
      return;
    }
    this.#queue.push(message);
    this.#wake?.();
  }

  #finish(): void {
    this.#ended = true;
    this.#wake?.();
  }
}
