/** The example agents as they are in an installed package: built, without any mesh. */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test, type TestContext } from 'node:test';
import { ModelServer, answerChat, sendJson } from '../support/model-server.ts';

const program = (name: string) => new URL(`../../dist/examples/${name}/${name}.mjs`, import.meta.url).pathname;
const home = (name: string) => new URL(`../../examples/${name}`, import.meta.url).pathname;

type Variables = Readonly<Record<string, string>>;

/** A researcher that listens, and the address of its socket. */
async function startResearcher(t: TestContext, env: Variables): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'ait-examples-'));
  const LISTEN = `unix:${join(folder, 'researcher.sock')}`;
  const child = spawn(process.execPath, [program('researcher')], {
    env: { AGENT_HOME: home('researcher'), LISTEN, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(async () => {
    const ended = new Promise((resolve) => void child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
    rmSync(folder, { recursive: true });
  });
  for await (const line of createInterface({ input: child.stdout })) if (line.startsWith('ready')) break;
  return LISTEN;
}

interface Said {
  readonly call: string;
  readonly status?: string;
  readonly [field: string]: unknown;
}

function planOnce(env: Variables): Promise<{ code: number; said: readonly Said[] }> {
  const variables = { AGENT_HOME: home('planner'), LOG: 'json', FINDING_EVERY_MS: '5', ...env };
  return new Promise((resolve) => {
    execFile(process.execPath, [program('planner'), '--once'], { env: variables, timeout: 30_000 }, (error, stdout) => {
      const lines = stdout.split('\n').filter((line) => line !== '');
      resolve({
        code: error === null ? 0 : Number(error.code ?? 1),
        said: lines.map((line) => JSON.parse(line) as Said),
      });
    });
  });
}

function lastOf(said: readonly Said[], call: string): Said | undefined {
  return said.findLast((line) => line.call === call && line.status !== undefined);
}

test('without a model they do without: no plan, and what the knowledge base has', async (t) => {
  const RESEARCHER = await startResearcher(t, {});
  const { code, said } = await planOnce({ RESEARCHER });
  assert.equal(code, 0, JSON.stringify(said));
  assert.equal(lastOf(said, 'Plan'), undefined);
  assert.match(String(lastOf(said, 'Ask')?.['answer']), /^A sidecar proves what it measured.*\.$/);
  assert.equal(lastOf(said, 'Investigate')?.['findings'], 5);
});

test('with a model, each sends it prompt, tools and model with every call, with a client that is as it is published', async (t) => {
  const model = await ModelServer.start(t);
  const env = { OPENAI_BASE_URL: model.baseUrl, OPENAI_API_KEY: 'any' };
  const RESEARCHER = await startResearcher(t, env);
  const { code, said } = await planOnce({ RESEARCHER, ...env });
  assert.equal(code, 0, JSON.stringify(said));
  assert.equal(lastOf(said, 'Plan')?.['answer'], 'Hello there');
  assert.match(String(lastOf(said, 'Ask')?.['answer']), /\. Hello there$/);

  const bodies = model.questions.map(({ body }) => JSON.parse(body) as Record<string, unknown>);
  assert.deepEqual(
    bodies.map(({ model: id, stream = false }) => ({ id, stream })),
    [
      { id: 'planner-large', stream: false },
      { id: 'researcher-small', stream: true },
    ],
  );
  for (const [index, agent] of ['planner', 'researcher'].entries()) {
    const messages = bodies[index]?.['messages'] as { role: string; content: string }[] | undefined;
    assert.deepEqual(messages?.[0], {
      role: 'system',
      content: readFileSync(join(home(agent), 'prompts/system.md'), 'utf8'),
    });
  }
  const names = bodies.map(({ tools }) =>
    (tools as { function: { name: string } }[]).map((tool) => tool.function.name),
  );
  assert.deepEqual(names, [['ask_researcher', 'write_plan'], ['search_knowledge']]);
});

test('a call that is refused is told with its code, and the planner asks all the same', async (t) => {
  const model = await ModelServer.start(t);
  model.answer = (question, response) => {
    if ((JSON.parse(question.body) as { model: string }).model !== 'planner-large') answerChat(question, response);
    else sendJson(response, { error: { message: 'not this one', type: 'ait_mesh', code: 'SYSTEM_PROMPT_DRIFT' } }, 403);
  };
  const env = { OPENAI_BASE_URL: model.baseUrl, OPENAI_API_KEY: 'any' };
  const RESEARCHER = await startResearcher(t, env);
  const { code, said } = await planOnce({ RESEARCHER, ...env });
  assert.equal(code, 1);
  assert.equal(lastOf(said, 'Plan')?.status, 'SYSTEM_PROMPT_DRIFT', JSON.stringify(said));
  assert.equal(lastOf(said, 'Ask')?.status, 'OK');
});
