/**
 * Asks its model with OpenAI's own client: one answer whole, and one word by word.
 *
 *   OPENAI_BASE_URL   where the sidecar takes model calls: http://127.0.0.1:17010/v1
 *   OPENAI_API_KEY    any text: the client insists on one, the sidecar has the real one
 *   AGENT_HOME        the folder with what is approved: prompt.md, model.json
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import OpenAI from 'openai';

const read = (name) => readFileSync(join(process.env.AGENT_HOME ?? '.', name), 'utf8');
const model = JSON.parse(read('model.json')).id;
const messages = [
  { role: 'system', content: read('prompt.md') },
  { role: 'user', content: 'Who approves a baseline? Please write 8 words.' },
];
const client = new OpenAI();

try {
  const answer = await client.chat.completions.create({ model, messages });
  console.log(answer.choices[0].message.content);

  const stream = await client.chat.completions.create({ model, messages, stream: true });
  const words = [];
  for await (const { choices } of stream) words.push(choices[0].delta.content ?? '');
  console.log(`in pieces: ${words.join('|')}`);
} catch (error) {
  if (!(error instanceof OpenAI.APIError)) throw error;
  console.log(`${error.constructor.name}: ${error.message}`);
  console.log(`type ${error.type}, code ${error.code}, param ${error.param}`);
  process.exitCode = 1;
}
