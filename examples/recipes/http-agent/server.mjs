/**
 * The researcher as a plain HTTP server: JSON for one answer, server-sent events for findings as they come. Who calls is in
 * a header that only the sidecar can set.
 *
 *   LISTEN        where its sidecar finds it: host:port (127.0.0.1:8080)
 *   INTERVAL_MS   pause between two findings (100)
 */
import { createServer } from 'node:http';
import { json } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';

const { LISTEN = '127.0.0.1:8080', INTERVAL_MS = '100' } = process.env;
const [host, port] = LISTEN.split(':');

async function ask(request, response) {
  const { question } = await json(request);
  const caller = request.headers['x-ait-peer-agent'] ?? 'stranger';
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ question, answer: `A sponsor does, ${caller}.` }));
}

async function findings(_request, response) {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  for (let number = 1; number <= 3 && !response.destroyed; number += 1) {
    response.write(`data: finding ${number}: drift was seen\n\n`);
    await sleep(Number(INTERVAL_MS));
  }
  response.end();
  console.log('the investigation is over');
}

const routes = { 'POST /ask': ask, 'GET /findings': findings };
const server = createServer((request, response) => {
  const answer = routes[`${request.method} ${request.url}`];
  if (answer === undefined) response.writeHead(404).end();
  else answer(request, response).catch((error) => response.destroy(error));
});
server.listen(Number(port), host, () => console.log(`ready on ${host}:${server.address().port}`));
