/**
 * Asks the researcher one question, then listens to an investigation. Of the mesh it knows an address.
 *
 *   RESEARCHER   where the sidecar takes calls to the researcher: unix:/run/ait/planner/researcher.sock, 127.0.0.1:17001
 *   AUTHORITY    whom a call is for, where the sidecar has one port for all peers: researcher.mesh
 */
import { fileURLToPath } from 'node:url';
import grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

const { RESEARCHER, AUTHORITY } = process.env;
const proto = fileURLToPath(new URL('../../proto/research.proto', import.meta.url));
const { Research } = grpc.loadPackageDefinition(loadSync(proto)).research.v1;
const researcher = new Research(RESEARCHER, grpc.credentials.createInsecure(), {
  ...(AUTHORITY && { 'grpc.default_authority': AUTHORITY }),
});

function ask(question) {
  return new Promise((resolve, reject) => {
    researcher.Ask({ question }, { deadline: Date.now() + 10_000 }, (error, response) =>
      error === null ? resolve(response.answer) : reject(error),
    );
  });
}

try {
  console.log(await ask('Who approves a baseline?'));
  for await (const { number, text } of researcher.Investigate({ topic: 'drift', count: 3 }))
    console.log(`finding ${number}: ${text}`);
} catch (error) {
  // An error without this field is the researcher's own.
  const [code] = error.metadata.get('x-ait-refused');
  if (code === undefined) throw error;
  console.log(`${grpc.status[error.code]}, and the mesh says why: ${code}`);
  process.exitCode = 1;
}
researcher.close();
