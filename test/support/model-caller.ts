import { request as httpRequest, type ClientRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import OpenAI from 'openai';
import type { TestAgent } from './test-agent.ts';

export interface ModelReply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** An error as the inference port words it. */
export interface PortError {
  readonly message: string;
  readonly type: string;
  readonly param: string | null;
  readonly code: string;
  readonly correlation_id: string;
  readonly [more: string]: unknown;
}

export interface RawCall {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
}

/** Where the agent of a test calls its model, as a path of a socket. */
export function modelSocket(agent: TestAgent): string {
  const { inference } = agent.addresses as unknown as { readonly inference: string };
  return inference.replace(/^unix:/, '');
}

/** One request as the agent's own code could make it, without a library that would refuse to. */
export function askModel(agent: TestAgent, call: RawCall): Promise<ModelReply> {
  return new Promise((resolve, reject) => {
    const request = openCall(agent, call);
    request.once('error', reject);
    request.once('response', (response: IncomingMessage) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.once('error', reject);
      response.once('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          text: Buffer.concat(chunks).toString(),
        }),
      );
    });
    request.end(call.body);
  });
}

/** The same, but its end is the caller's. */
export function openCall(agent: TestAgent, call: RawCall): ClientRequest {
  const { method = 'POST', path = '/v1/chat/completions', headers = {} } = call;
  return httpRequest({
    socketPath: modelSocket(agent),
    method,
    path,
    headers: { host: 'localhost', 'content-type': 'application/json', ...headers },
    agent: false,
  });
}

export interface Conversation {
  readonly system?: string;
  readonly user?: string;
  readonly model?: string;
  readonly stream?: boolean;
  readonly more?: object;
}

/** The body of a call of the test's agents: their own prompt, unless it is another. */
export function chatBody(agent: TestAgent, conversation: Conversation = {}): string {
  const { system = promptOf(agent), user = 'Hello?', model = 'large', stream, more = {} } = conversation;
  const messages = [
    { role: 'system', content: system },
    { role: 'user', content: user },
  ];
  return JSON.stringify({ model, messages, ...(stream !== undefined && { stream }), ...more });
}

/** As `AgentFiles` writes it for this agent. */
export function promptOf(agent: TestAgent): string {
  return `You are ${agent.name}. Be brief.\n`;
}

export function chat(agent: TestAgent, conversation: Conversation = {}): Promise<ModelReply> {
  return askModel(agent, { body: chatBody(agent, conversation) });
}

export function errorOf({ text }: ModelReply): PortError {
  return (JSON.parse(text) as { readonly error: PortError }).error;
}

/** The data of each event of a stream. */
export function eventsOf({ text }: ModelReply): string[] {
  return text
    .split('\n\n')
    .filter((event) => event !== '')
    .map((event) => event.replace(/^(?:event: .*\n)?data: /, ''));
}

/** The official client, as an agent uses it. Its key is nobody's. */
export function openaiFor(agent: TestAgent): OpenAI {
  const { inference } = agent.addresses as unknown as { readonly inference: string };
  return new OpenAI({ baseURL: `http://${inference}/v1`, apiKey: 'nobody', maxRetries: 0 });
}

/** Whether somebody still listens there. */
export function isListening(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
