/**
 * An OpenAI-compatible server that streams at a steady pace, and says in each chunk when it was written. A process of its
 * own, so that whoever reads does not hold up the clock. Prints one JSON line when it listens; ends with its standard input.
 */
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { nowMs } from './fleet-protocol.ts';

const CHUNKS = 100;
const [paceMs = 20] = process.argv.slice(2).map(Number);

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => stream(JSON.parse(Buffer.concat(chunks).toString()) as { model: string }, response));
});
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo;
  console.log(JSON.stringify({ event: 'listening', baseUrl: `http://127.0.0.1:${port}/v1` }));
});
process.stdin.on('end', () => process.exit()).resume();

function stream({ model }: { model: string }, response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  let left = CHUNKS;
  const timer = setInterval(() => {
    left -= 1;
    const choices = [{ index: 0, delta: { content: String(nowMs()) }, finish_reason: left === 0 ? 'stop' : null }];
    const chunk = { id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1, model, choices };
    response.write(`data: ${JSON.stringify(chunk)}\n\n`);
    if (left > 0) return;
    clearInterval(timer);
    response.end('data: [DONE]\n\n');
  }, paceMs);
  response.once('close', () => clearInterval(timer));
}
