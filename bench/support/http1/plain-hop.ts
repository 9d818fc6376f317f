/**
 * One of two proxies as anybody would write them with `node:http`: a server, an agent that keeps connections, mutually
 * authenticated TLS between the two. Takes its `HopOptions` as JSON; ends with its standard input.
 */
import { readFileSync } from 'node:fs';
import { Agent, createServer, request as plainRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { Agent as TlsAgent, createServer as createTlsServer, request as tlsRequest } from 'node:https';
import type { HopOptions } from '../dataplane/node-pair.ts';

const hop = JSON.parse(process.argv[2] ?? '') as HopOptions;
const tls = {
  cert: readFileSync(hop.cert),
  key: readFileSync(hop.key),
  ca: readFileSync(hop.root),
  minVersion: 'TLSv1.3' as const,
};
const to = { host: '127.0.0.1', port: hop.to, servername: 'callee' };
const agent =
  hop.role === 'client'
    ? new TlsAgent({ ...tls, keepAlive: true, noDelay: true })
    : new Agent({ keepAlive: true, noDelay: true });
const send = hop.role === 'client' ? tlsRequest : plainRequest;

const server =
  hop.role === 'client'
    ? createServer(forward)
    : createTlsServer({ ...tls, requestCert: true, rejectUnauthorized: true }, forward);
server.listen(hop.listen, '127.0.0.1');
process.stdin.on('end', () => process.exit()).resume();

function forward(request: IncomingMessage, response: ServerResponse): void {
  const { method, url: path, headers } = request;
  const onward = send({ ...to, agent, method, path, headers }, (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(response);
  });
  onward.once('error', () => response.destroy());
  request.pipe(onward);
}
