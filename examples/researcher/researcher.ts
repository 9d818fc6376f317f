/**
 * The researcher: answers questions from its knowledge base, in its model's words. A plain gRPC server without TLS, tokens
 * or any idea of who calls it: whatever stands in front of it takes care of that.
 *
 *   LISTEN       where to answer: unix:/path or host:port (127.0.0.1:50051)
 *   AGENT_HOME   the folder with prompts, knowledge, tools and model (this one)
 *   OPENAI_BASE_URL, OPENAI_API_KEY   its model (../mind/mind.ts); without it the knowledge base answers as it is
 *   DEBUG_SOCKET   for playing the attacker (../mind/debug-socket.ts)
 */
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { openDebugSocket } from '../mind/debug-socket.ts';
import { describeRefusal, Mind } from '../mind/mind.ts';

const here = fileURLToPath(new URL('.', import.meta.url));
const { LISTEN = '127.0.0.1:50051', AGENT_HOME: home = here } = process.env;

const mind = await Mind.read(home);
openDebugSocket(mind);

interface Manifest {
  readonly entries: readonly { readonly name: string; readonly path: string }[];
}

interface Sentence {
  readonly text: string;
  readonly source: string;
}

// The messages of ../proto/research.proto.
type Question = { question: string };
type Answer = { answer: string; source: string };
type Investigation = { topic: string; count: number; interval_ms: number };
type Finding = { number: number } & Sentence;

/** Every sentence of the knowledge base with the entry it stands in. */
function readKnowledge(): Sentence[] {
  const folder = join(home, 'knowledge');
  const { entries } = JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8')) as Manifest;
  return entries.flatMap(({ name, path }) => {
    const sentences =
      readFileSync(join(folder, path), 'utf8')
        .replaceAll('\n', ' ')
        .match(/[^.]+\./g) ?? [];
    return sentences.map((text) => ({ text: text.trim(), source: name }));
  });
}

const words = (text: string) => new Set(text.toLowerCase().match(/[a-z]{4,}/g) ?? []);

/** Sentences that share the most words with a text come first. */
function search(text: string): Sentence[] {
  const wanted = words(text);
  const score = (sentence: Sentence) => [...words(sentence.text)].filter((word) => wanted.has(word)).length;
  return readKnowledge().sort((a, b) => score(b) - score(a));
}

function ask(call: grpc.ServerUnaryCall<Question, Answer>, reply: grpc.sendUnaryData<Answer>): void {
  const { question } = call.request;
  const [best] = search(question);
  if (best === undefined) {
    reply({ code: grpc.status.NOT_FOUND, details: 'the knowledge base is empty' });
    return;
  }
  const { text, source } = best;
  inOwnWords(question, text).then(
    (answer) => reply(null, { answer, source }),
    (error: unknown) => {
      const { status, detail } = describeRefusal(error);
      reply({ code: grpc.status.FAILED_PRECONDITION, details: `the model does not answer: ${status}, ${detail}` });
    },
  );
}

/** What the model makes of what was found; without a model, what was found. @throws OpenAI.APIError */
async function inOwnWords(question: string, found: string): Promise<string> {
  if (!mind.hasModel) return found;
  const { text } = await mind.listen(`The question is: ${question}\nThe knowledge base has: ${found}\nAnswer from it.`);
  return `${found} ${text}`;
}

function investigate(call: grpc.ServerWritableStream<Investigation, Finding>): void {
  const { topic, count, interval_ms: pause } = call.request;
  const found = search(topic);
  let number = 0;
  const report = () => {
    const sentence = found[number % found.length];
    number += 1;
    if (sentence !== undefined) call.write({ number, ...sentence });
    if (number >= count) finish();
  };
  const finish = () => {
    clearInterval(timer);
    call.end();
  };
  const timer = setInterval(report, Math.max(1, pause));
  call.on('cancelled', finish);
  report();
}

// A socket file that a killed process left behind would keep us from listening.
if (LISTEN.startsWith('unix:')) rmSync(LISTEN.slice('unix:'.length), { force: true });

const { research } = grpc.loadPackageDefinition(
  loadSync(join(here, '../proto/research.proto'), { keepCase: true }),
) as unknown as { research: { v1: { Research: { service: grpc.ServiceDefinition } } } };
const server = new grpc.Server();
server.addService(research.v1.Research.service, { Ask: ask, Investigate: investigate });
server.bindAsync(LISTEN, grpc.ServerCredentials.createInsecure(), (error) => {
  if (error) {
    console.error(`researcher: cannot listen on ${LISTEN}: ${error.message}`);
    process.exit(1);
  }
  console.log(`ready on ${LISTEN}`);
});
process.on('SIGTERM', () => {
  server.forceShutdown();
});
