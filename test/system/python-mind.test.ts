import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { findProgram, run } from '../support/debian-program.ts';
import { ModelServer } from '../support/model-server.ts';

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));
/** Debian's own: it has no package openai. */
const PYTHON = '/usr/bin/python3';
const HOME = here('../../examples/researcher');
const ASK = `
import pathlib, sys
from mind import Mind
mind = Mind(pathlib.Path(sys.argv[1]))
print(mind.listen("Who approves?") if mind.has_model else "no model")
`;

function ask(env: Readonly<Record<string, string>>, more: readonly string[] = []) {
  findProgram('python3', 'python3');
  const PYTHONPATH = [here('../../examples/researcher-python'), ...more].join(':');
  return run(PYTHON, ['-c', ASK, HOME], { env: { PYTHONDONTWRITEBYTECODE: '1', ...env, PYTHONPATH } });
}

test('the researcher in Python sends its model what the one in TypeScript sends: prompt, tools, model', async (t) => {
  const model = await ModelServer.start(t);
  const env = { OPENAI_BASE_URL: model.baseUrl, OPENAI_API_KEY: 'any' };
  const { code, stdout, stderr } = await ask(env, [here('openai-stand-in')]);
  assert.equal(code, 0, stderr);
  assert.equal(stdout.toString().trim(), 'Hello there');

  const [question] = model.questions;
  const body = JSON.parse(question?.body ?? '{}') as Record<string, unknown>;
  assert.equal(body['model'], 'researcher-small');
  assert.equal(body['stream'], true);
  assert.deepEqual(body['messages'], [
    { role: 'system', content: readFileSync(`${HOME}/prompts/system.md`, 'utf8') },
    { role: 'user', content: 'Who approves?' },
  ]);
  const { tools } = JSON.parse(readFileSync(`${HOME}/tools.json`, 'utf8')) as {
    tools: { name: string; description: string; inputSchema: object }[];
  };
  const functions = tools.map(({ name, description, inputSchema }) => ({
    type: 'function',
    function: { name, description, parameters: inputSchema },
  }));
  assert.deepEqual(body['tools'], functions);
});

test('without the package openai it says so, and does without a model', async () => {
  const { code, stdout, stderr } = await ask({ OPENAI_BASE_URL: 'http://127.0.0.1:9/v1', OPENAI_API_KEY: 'any' });
  assert.equal(code, 0, stderr);
  assert.equal(stdout.toString().trim(), 'no model');
  assert.match(stderr, /no Python package openai/);
});

test('without an address of a model it does without one, and says nothing', async () => {
  const { code, stdout, stderr } = await ask({ OPENAI_BASE_URL: '' }, [here('openai-stand-in')]);
  assert.equal(code, 0, stderr);
  assert.equal(stdout.toString().trim(), 'no model');
  assert.equal(stderr, '');
});
