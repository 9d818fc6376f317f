import { request as httpRequest, type Agent, type IncomingMessage } from 'node:http';
import { request as httpsRequest, type Agent as TlsAgent } from 'node:https';

/** A server to stream from, and the connections to it. */
export interface ModelTarget {
  /** Up to and with `/v1`. */
  readonly baseUrl: string;
  readonly connections: Agent | TlsAgent;
}

/** One streamed answer. */
export interface StreamTimes {
  /** From the request to the first event, ms. */
  readonly firstMs: number;
  /** The texts of its chunks, each with when it arrived, by `performance.now()`. */
  readonly chunks: readonly { readonly at: number; readonly text: string }[];
}

/** Streams one answer of chat completions to its end. @throws Error unless it ended with `[DONE]` */
export async function streamOnce(target: ModelTarget, call: object): Promise<StreamTimes> {
  const body = JSON.stringify({ ...call, stream: true });
  const startedAt = performance.now();
  const response = await post(target, body);
  const chunks: { at: number; text: string }[] = [];
  let [firstMs, rest, isDone] = [Number.NaN, '', false];
  for await (const data of response as AsyncIterable<string>) {
    const at = performance.now();
    if (Number.isNaN(firstMs)) firstMs = at - startedAt;
    const events = (rest + data).split('\n\n');
    rest = events.pop() ?? '';
    for (const event of events) {
      const said = event.replace(/^data: /, '');
      if (said === '[DONE]') isDone = true;
      else chunks.push({ at, text: contentOf(said) });
    }
  }
  if (response.statusCode !== 200 || !isDone) {
    throw new Error(`status ${response.statusCode}, ${chunks.length} chunks, then: ${rest.slice(0, 500)}`);
  }
  return { firstMs, chunks };
}

function contentOf(event: string): string {
  const { choices } = JSON.parse(event) as { choices: readonly { delta?: { content?: string } }[] };
  return choices[0]?.delta?.content ?? '';
}

function post({ baseUrl, connections }: ModelTarget, body: string): Promise<IncomingMessage> {
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
  const send = baseUrl.startsWith('https:') ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const request = send(`${baseUrl}/chat/completions`, { method: 'POST', agent: connections, headers }, (response) => {
      resolve(response.setEncoding('utf8'));
    });
    request.once('error', reject).end(body);
  });
}
