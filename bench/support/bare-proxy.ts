/**
 * The least that Node can do between an agent and its model: `node:http` on both sides, and a pipe. It checks nothing; what
 * it adds to a chunk is what any proxy in this language adds. Prints one JSON line when it listens; ends with its standard
 * input.
 */
import { Agent, createServer, request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';

const [upstream = ''] = process.argv.slice(2);
const { hostname: host, port } = new URL(upstream);
const agent = new Agent({ keepAlive: true });

const server = createServer({ noDelay: true }, (request, response) => {
  const { method, url: path, headers } = request;
  const onward = httpRequest({ agent, host, port, method, path, headers }, (answer) => {
    response.writeHead(answer.statusCode ?? 502, { 'content-type': answer.headers['content-type'] });
    answer.pipe(response);
  });
  onward.once('error', () => response.destroy());
  response.once('close', () => onward.destroy());
  request.pipe(onward);
});
server.listen(0, '127.0.0.1', () => {
  const { port: own } = server.address() as AddressInfo;
  console.log(JSON.stringify({ event: 'listening', baseUrl: `http://127.0.0.1:${own}/v1` }));
});
process.stdin.on('end', () => process.exit()).resume();
