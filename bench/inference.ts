/**
 * What the sidecar adds to a streamed call of a model: time to the first token and per chunk, over asking the inference
 * service directly by TLS. Both ways alternate, over connections that are open already, on real processes.
 */
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { request as httpRequest, Agent as HttpAgent, type IncomingMessage, type RequestOptions } from 'node:http';
import { test } from 'node:test';
import { parseArgs } from 'node:util';
import { privateKeyToPem } from '../src/crypto/keys.ts';
import { Forger } from '../test/support/forgery.ts';
import { startMesh } from '../test/support/mesh.ts';
import { chatBody } from '../test/support/model-caller.ts';
import { RealModel } from '../test/support/real-model.ts';
import { TRUST_DOMAIN } from '../test/support/test-authority.ts';

const { values } = parseArgs({
  options: {
    calls: { type: 'string', default: '200' },
    streams: { type: 'string', default: '200' },
    help: { type: 'boolean', default: false },
  },
});

interface Timed {
  readonly firstMs: number;
  readonly wholeMs: number;
  readonly chunks: number;
}

type Ask = (options: RequestOptions, callback: (response: IncomingMessage) => void) => ReturnType<typeof httpRequest>;

function stream(ask: Ask, options: RequestOptions, body: string): Promise<Timed> {
  return new Promise((resolve, reject) => {
    const from = performance.now();
    let firstMs = 0;
    let chunks = 0;
    const headers = {
      host: 'localhost',
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
    };
    const request = ask({ method: 'POST', path: '/v1/chat/completions', headers, ...options }, (response) => {
      if (response.statusCode !== 200) reject(new Error(`status ${response.statusCode}`));
      response.on('data', (chunk: Buffer) => {
        if (firstMs === 0) firstMs = performance.now() - from;
        chunks += chunk.toString().split('\n\n').length - 1;
      });
      response.once('error', reject);
      response.once('end', () => resolve({ firstMs, wholeMs: performance.now() - from, chunks }));
    });
    request.once('error', reject);
    request.end(body);
  });
}

const median = (list: readonly number[]) => list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)] ?? NaN;
const shown = (ms: number) => `${ms.toFixed(3)} ms`;

if (values.help) console.log('npm run bench:inference -- [--calls 200] [--streams 200]');
else {
  await test('what the inference port adds', async (t) => {
    const mesh = await startMesh(t, { agents: { planner: { start: false } } });
    const model = new RealModel(mesh);
    t.after(() => model.stop());
    await model.configure([{ id: 'large', version: '1' }]);
    await model.approve(['planner']);
    await model.start();
    const planner = mesh.agent('planner');
    planner.config['inference'] = { listen: '127.0.0.1:0', agent_only: true, service: { address: model.address } };
    await planner.start({ awaitReady: false });
    await planner.waitFor('sidecar_ready', () => true, { deadlineMs: 60_000 });

    const forger = Forger.of(await mesh.authority.keys());
    const spiffeId = `spiffe://${TRUST_DOMAIN}/agent/planner`;
    const identity = forger.identity({ spiffeId, measurement: planner.measurement });
    const tls = {
      cert: identity.certPem,
      key: privateKeyToPem(identity.keyPair.privateKey),
      ca: forger.rootPem,
      checkServerIdentity: () => undefined,
      ALPNProtocols: ['http/1.1'],
    };
    const addressOf = (address: string) => ({ host: '127.0.0.1', port: Number(address.split(':').at(-1)) });
    const direct = { ...addressOf(model.address), agent: new HttpsAgent({ ...tls, keepAlive: true }) };
    const { inference } = planner.addresses as unknown as { readonly inference: string };
    const through = { ...addressOf(inference), agent: new HttpAgent({ keepAlive: true }) };
    t.after(() => [direct.agent.destroy(), through.agent.destroy()]);
    const body = chatBody(planner, { stream: true });
    const askDirect = () => stream(httpsRequest, direct, body);
    const askThrough = () => stream(httpRequest, through, body);

    for (let warm = 0; warm < 30; warm += 1) await Promise.all([askDirect(), askThrough()]);
    const [ofDirect, ofThrough]: [Timed[], Timed[]] = [[], []];
    for (let call = 0; call < Number(values.calls); call += 1) {
      ofDirect.push(await askDirect());
      ofThrough.push(await askThrough());
    }
    const first = (list: readonly Timed[]) => median(list.map(({ firstMs }) => firstMs));
    const perChunk = (list: readonly Timed[]) =>
      median(list.map(({ wholeMs, firstMs, chunks }) => (wholeMs - firstMs) / chunks));
    console.log(`time to first token, median: direct ${shown(first(ofDirect))}, through ${shown(first(ofThrough))}`);
    console.log(`  added ${shown(first(ofThrough) - first(ofDirect))}`);
    console.log(
      `per chunk after that, median: direct ${shown(perChunk(ofDirect))}, through ${shown(perChunk(ofThrough))}`,
    );
    console.log(`  added ${shown(perChunk(ofThrough) - perChunk(ofDirect))}`);

    const from = performance.now();
    const many = await Promise.all(Array.from({ length: Number(values.streams) }, askThrough));
    const chunks = many.reduce((sum, timed) => sum + timed.chunks, 0);
    console.log(`${many.length} streams at once: all whole, ${chunks} events in ${shown(performance.now() - from)}`);
  });
}
