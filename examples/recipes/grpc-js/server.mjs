/**
 * The researcher: a gRPC server without TLS or tokens. Who calls is in the metadata, where only the sidecar can put it.
 *
 *   LISTEN        where its sidecar finds it: unix:/run/ait/researcher/app.sock, 127.0.0.1:50051
 *   INTERVAL_MS   pause between two findings (100)
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

const { LISTEN = '127.0.0.1:50051', INTERVAL_MS = '100' } = process.env;
const proto = fileURLToPath(new URL('../../proto/research.proto', import.meta.url));
const { Research } = grpc.loadPackageDefinition(loadSync(proto)).research.v1;

function ask({ metadata }, reply) {
  const [caller = 'stranger'] = metadata.get('x-ait-peer-agent');
  reply(null, { answer: `A sponsor does, ${caller}.`, source: 'approval' });
}

async function investigate(call) {
  const { topic, count } = call.request;
  for (let number = 1; number <= count && !call.cancelled; number += 1) {
    call.write({ number, text: `${topic} was seen`, source: 'log' });
    await sleep(Number(INTERVAL_MS));
  }
  call.end();
  console.log('the investigation is over');
}

const server = new grpc.Server();
server.addService(Research.service, { Ask: ask, Investigate: (call) => void investigate(call) });
server.bindAsync(LISTEN, grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error !== null) throw error;
  console.log(`ready on ${LISTEN.replace(/:0$/, `:${port}`)}`);
});
