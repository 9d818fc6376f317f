import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';

/** One request, as a model server has read it. */
export interface ModelQuestion {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

/** PEM. */
export interface ServerCertificate {
  readonly cert: string;
  readonly key: string;
}

export type Answering = (question: ModelQuestion, response: ServerResponse) => void;

/** An OpenAI-compatible server in the test's process, which does as it is told, and remembers everything it was sent. */
export class ModelServer {
  readonly questions: ModelQuestion[] = [];
  /** Requests whose sender hung up before they were answered. */
  hangUps = 0;
  answer: Answering;
  readonly #server: Server;

  constructor(answer: Answering, certificate?: ServerCertificate) {
    this.answer = answer;
    const serve = (request: IncomingMessage, response: ServerResponse) => void this.#serve(request, response);
    this.#server = certificate === undefined ? createServer(serve) : createTlsServer({ ...certificate }, serve);
  }

  /** @param certificate default: it speaks without TLS. */
  static async start(t: TestContext, certificate?: ServerCertificate): Promise<ModelServer> {
    const server = new ModelServer(answerChat, certificate);
    await new Promise<void>((resolve) => server.#server.listen(0, '127.0.0.1', resolve));
    t.after(() => {
      server.#server.closeAllConnections();
      server.#server.close();
    });
    return server;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get baseUrl(): string {
    return `http://127.0.0.1:${this.port}/v1`;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    response.once('close', () => {
      if (!response.writableFinished) this.hangUps += 1;
    });
    const { method = '', url: path = '', headers } = request;
    const question = { method, path, headers, body: Buffer.concat(chunks).toString() };
    this.questions.push(question);
    this.answer(question, response);
  }
}

/** What a well-behaved server says to any call of chat completions. */
export function answerChat({ body }: ModelQuestion, response: ServerResponse): void {
  const { stream, model } = JSON.parse(body) as { stream?: boolean; model: string };
  if (stream !== true) {
    sendJson(response, chatAnswer(model));
    return;
  }
  beginEvents(response);
  for (const word of ['Hello', ' there']) sendEvent(response, chatChunk(model, word));
  response.end('data: [DONE]\n\n');
}

export function sendJson(response: ServerResponse, body: object, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

export function beginEvents(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
}

export function sendEvent(response: ServerResponse, data: object): void {
  response.write(`data: ${JSON.stringify(data)}\n\n`);
}

export function chatAnswer(model = 'large', content = 'Hello there'): object {
  return {
    id: 'chatcmpl-1',
    object: 'chat.completion',
    created: 1,
    model,
    choices: [{ index: 0, message: { role: 'assistant', content }, finish_reason: 'stop' }],
    usage: { prompt_tokens: 7, completion_tokens: 2, total_tokens: 9 },
  };
}

export function chatChunk(model: string, content: string): object {
  return {
    id: 'chatcmpl-1',
    object: 'chat.completion.chunk',
    created: 1,
    model,
    choices: [{ index: 0, delta: { content }, finish_reason: null }],
  };
}
