/**
 * One of two generic proxies made of grpc-js: messages go on as the bytes they are, whatever kind of call it is, with
 * metadata, status and cancellation. Takes its `HopOptions` as JSON; ends with its standard input.
 */
import { readFileSync } from 'node:fs';
import { credentials, Client, Server, ServerCredentials, status, type ServerDuplexStream } from '@grpc/grpc-js';
import { ECHO_PATH } from './backend.ts';
import type { HopOptions } from './node-pair.ts';

const OPTIONS = {
  'grpc.enable_retries': 0,
  'grpc.enable_channelz': 0,
  'grpc.enable_http_proxy': 0,
  'grpc.max_receive_message_length': -1,
  'grpc.max_send_message_length': -1,
};

const hop = JSON.parse(process.argv[2] ?? '') as HopOptions;
const [cert, key, root] = [hop.cert, hop.key, hop.root].map((file) => readFileSync(file));
if (cert === undefined || key === undefined || root === undefined) throw new Error('files are missing');
const asIs = (bytes: Buffer) => bytes;

const onward = new Client(
  `127.0.0.1:${hop.to}`,
  hop.role === 'client'
    ? credentials.createSsl(root, key, cert, { checkServerIdentity: () => undefined })
    : credentials.createInsecure(),
  OPTIONS,
);
const server = new Server(OPTIONS);
server.register(ECHO_PATH, relay, asIs, asIs, 'bidi');
server.bindAsync(
  `127.0.0.1:${hop.listen}`,
  hop.role === 'server'
    ? ServerCredentials.createSsl(root, [{ private_key: key, cert_chain: cert }], true)
    : ServerCredentials.createInsecure(),
  (error) => {
    if (error !== null) throw error;
  },
);
process.stdin.on('end', () => process.exit()).resume();

function relay(call: ServerDuplexStream<Buffer, Buffer>): void {
  const called = onward.makeBidiStreamRequest(call.getPath(), asIs, asIs, call.metadata);
  call.on('cancelled', () => called.cancel());
  flow(call, called);
  call.once('end', () => called.end());
  called.on('metadata', (metadata) => call.sendMetadata(metadata));
  // An error is its status, which follows.
  called.on('error', () => undefined);
  flow(called, call);
  called.on('status', (ended) => {
    if (ended.code === status.OK) call.end(ended.metadata);
    else call.emit('error', ended);
  });
}

interface From {
  on(event: 'data', listener: (message: Buffer) => void): unknown;
  pause(): unknown;
  resume(): unknown;
}

interface To {
  on(event: 'drain', listener: () => void): unknown;
  write(message: Buffer): boolean;
}

/** As `from.pipe(to)`, which the types of grpc-js do not fit; without the end. */
function flow(from: From, to: To): void {
  from.on('data', (message: Buffer) => {
    if (!to.write(message)) from.pause();
  });
  to.on('drain', () => from.resume());
}
