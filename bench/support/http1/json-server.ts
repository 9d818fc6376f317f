/**
 * The server behind every pair: plain HTTP/1.1, as cheap as it can be had. It answers a POST with 100 bytes of JSON, and a GET
 * with server-sent events, each of which says when it was written. A process of its own, so that whoever reads does not
 * hold up the clock. Takes its port, the number of events and their pace in ms; ends with its standard input.
 */
import { createServer, type Socket } from 'node:net';
import { nowMs } from '../fleet-protocol.ts';
import { ANSWER, END_OF_EVENTS } from './exchanged.ts';

const [port = 0, events = 0, paceMs = 0] = process.argv.slice(2).map(Number);
const JSON_ANSWER = `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${ANSWER.length}\r\n\r\n${ANSWER}`;
const SSE_HEAD = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n';

createServer({ noDelay: true }, (socket) => {
  let rest = '';
  socket.on('error', () => undefined);
  socket.on('data', (bytes: Buffer) => {
    rest += bytes.toString('latin1');
    for (let request = cut(); request !== undefined; request = cut()) {
      if (request.startsWith('GET ')) stream(socket);
      else socket.write(JSON_ANSWER);
    }
  });

  /** One whole request; what sends it is no attacker. */
  function cut(): string | undefined {
    const headEnd = rest.indexOf('\r\n\r\n');
    if (headEnd < 0) return undefined;
    const chunked = /\r\ntransfer-encoding: chunked\r\n/i.test(rest.slice(0, headEnd + 2));
    const length = Number(/\r\ncontent-length: (\d+)\r\n/i.exec(rest.slice(0, headEnd + 2))?.[1] ?? 0);
    const end = chunked ? rest.indexOf('0\r\n\r\n', headEnd) + 5 : headEnd + 4 + length;
    if (end < headEnd || rest.length < end) return undefined;
    const request = rest.slice(0, end);
    rest = rest.slice(end);
    return request;
  }
}).listen(port, '127.0.0.1');
process.stdin.on('end', () => process.exit()).resume();

function stream(socket: Socket): void {
  socket.write(SSE_HEAD);
  let left = events;
  const timer = setInterval(() => {
    const event = left > 0 ? `data: ${nowMs()}\n\n` : END_OF_EVENTS;
    socket.write(`${event.length.toString(16)}\r\n${event}\r\n${left > 0 ? '' : '0\r\n\r\n'}`);
    if (left <= 0) clearInterval(timer);
    left -= 1;
  }, paceMs);
  socket.once('close', () => clearInterval(timer));
}
