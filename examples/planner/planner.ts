/**
 * The planner: has its model plan, asks the researcher a question every few seconds, keeps one investigation running, has
 * the reviewer look over each answer, reads in the library, and prints how each call ended. Plain clients of gRPC, A2A, MCP
 * and OpenAI: their addresses are environment variables, and there is nothing else to know.
 *
 *   RESEARCHER        where the researcher answers: unix:/path or host:port (required)
 *   REVIEWER_URL, LIBRARIAN_URL   whom else to ask (consultants.ts); without them it does without
 *   AGENT_HOME        the folder with prompts, tools and model (this one)
 *   OPENAI_BASE_URL, OPENAI_API_KEY   its model (../mind/mind.ts); without it there is no plan, and it asks all the same
 *   DEBUG_SOCKET      for playing the attacker (../mind/debug-socket.ts)
 *   ASK_EVERY_MS      pause between two questions (3000)
 *   FINDINGS          length of one investigation (60)
 *   FINDING_EVERY_MS  pause between two findings (500)
 *   LOG=json          one JSON object a line instead of text
 *
 * `--once` makes one call of each kind and exits with 0 if all ended with OK.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { openDebugSocket } from '../mind/debug-socket.ts';
import { describeRefusal, Mind } from '../mind/mind.ts';
import { describeFailure, findConsultants, type Consultant } from './consultants.ts';

const here = fileURLToPath(new URL('.', import.meta.url));
const { RESEARCHER, ASK_EVERY_MS = '3000', FINDINGS = '60', FINDING_EVERY_MS = '500', LOG } = process.env;
const home = process.env['AGENT_HOME'] ?? here;

if (RESEARCHER === undefined) {
  console.error('planner: set RESEARCHER to the address of the researcher, for example 127.0.0.1:50051');
  process.exit(2);
}

const mind = await Mind.read(home);
openDebugSocket(mind);
const consultants = await findConsultants(process.env);
const questions = [...mind.memory.prompt.matchAll(/^\d+\. (.+\?)$/gm)].map(([, question = '']) => question);

interface ResearchClient extends grpc.Client {
  Ask(request: { question: string }, options: grpc.CallOptions, callback: grpc.requestCallback<Answer>): void;
  Investigate(request: { topic: string; count: number; interval_ms: number }): grpc.ClientReadableStream<Finding>;
}
type Answer = { answer: string; source: string };
type Finding = { number: number; text: string; source: string };

const { research } = grpc.loadPackageDefinition(
  loadSync(join(here, '../proto/research.proto'), { keepCase: true }),
) as unknown as {
  research: {
    v1: { Research: new (address: string, credentials: grpc.ChannelCredentials, options: object) => ResearchClient };
  };
};
const researcher = new research.v1.Research(RESEARCHER, grpc.credentials.createInsecure(), {
  // The defaults wait up to two minutes before they try again; a person who watches does not.
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.min_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1000,
});

/** The questions in turn, as the prompt lists them. */
function question(turn: number): string {
  return questions[turn % questions.length] ?? 'What do you know?';
}

/** Has the model plan. @returns `OK`, or why there is no plan. */
async function plan(text: string): Promise<string> {
  if (!mind.hasModel) return 'OK';
  const started = performance.now();
  const since = () => Math.round(performance.now() - started);
  try {
    const { text: answer, tokens } = await mind.ask(`Plan how to find out: ${text}`);
    say(
      { call: 'Plan', status: 'OK', ms: since(), tokens, answer },
      `OK in ${since()} ms, ${tokens} tokens: ${answer}`,
    );
    return 'OK';
  } catch (error) {
    const { status, detail } = describeRefusal(error);
    say({ call: 'Plan', status, ms: since(), detail }, `${status}: ${detail}`);
    return status;
  }
}

/** One unary call. @returns the name of its gRPC status. */
function ask(text: string): Promise<string> {
  const started = performance.now();
  return new Promise((resolve) => {
    researcher.Ask({ question: text }, { deadline: Date.now() + 5000 }, (error, response) => {
      const status = grpc.status[error?.code ?? grpc.status.OK];
      const ms = Math.round(performance.now() - started);
      if (error) say({ call: 'Ask', status, ms, detail: error.details }, `${status}: ${gist(error.details)}`);
      else say({ call: 'Ask', status, ms, answer: response?.answer }, `${status} in ${ms} ms: ${response?.answer}`);
      resolve(status);
    });
  });
}

/** One server stream. @returns the name of its gRPC status. */
function investigate(topic: string, count: number): Promise<string> {
  const started = performance.now();
  let findings = 0;
  return new Promise((resolve) => {
    const call = researcher.Investigate({ topic, count, interval_ms: Number(FINDING_EVERY_MS) });
    call.on('data', ({ number, text }: Finding) => {
      findings += 1;
      if (findings === 1) say({ call: 'Investigate', status: 'RUNNING' }, `running: ${text}`);
      if (LOG === 'json') say({ call: 'Investigate', finding: number });
    });
    call.on('error', () => undefined); // It comes as a status, too.
    call.on('status', ({ code, details }: grpc.StatusObject) => {
      const status = grpc.status[code];
      const ms = Math.round(performance.now() - started);
      const so =
        code === grpc.status.OK ? `OK, ${findings} findings` : `${status} after ${findings} findings: ${gist(details)}`;
      say({ call: 'Investigate', status, findings, ms, detail: details }, so);
      resolve(status);
    });
  });
}

/** One call by another SDK. @returns `OK`, or why there is no answer */
async function consult({ call, consult: ask }: Consultant, text: string): Promise<string> {
  const started = performance.now();
  const since = () => Math.round(performance.now() - started);
  try {
    const answer = await ask(text);
    say({ call, status: 'OK', ms: since(), answer }, `OK in ${since()} ms: ${answer}`);
    return 'OK';
  } catch (error) {
    const { status, detail } = describeFailure(error);
    say({ call, status, ms: since(), detail }, `${status}: ${detail}`);
    return status;
  }
}

/** grpc-js adds every error it met on the way. */
function gist(details: string): string {
  return details.split('. ', 1)[0] ?? '';
}

function say(fields: { readonly call: string; readonly [field: string]: unknown }, text = ''): void {
  if (LOG === 'json') console.log(JSON.stringify(fields));
  else console.log(`${fields.call} ${text}`);
}

if (process.argv.includes('--once')) {
  const results = [await plan(question(0)), await ask(question(0)), await investigate(question(1), 5)];
  for (const consultant of consultants) results.push(await consult(consultant, question(0)));
  await Promise.all(consultants.map(({ close }) => close()));
  researcher.close();
  process.exitCode = results.every((status) => status === 'OK') ? 0 : 1;
} else {
  const asking = async () => {
    for (let turn = 0; ; turn += 1) {
      await plan(question(turn));
      await ask(question(turn));
      for (const consultant of consultants) await consult(consultant, question(turn));
      await sleep(Number(ASK_EVERY_MS));
    }
  };
  const investigating = async () => {
    for (;;) {
      const status = await investigate(question(0), Number(FINDINGS));
      await sleep(status === 'OK' ? 0 : 500);
    }
  };
  await Promise.all([asking(), investigating()]);
}
