/**
 * Asks its model through LangChain.js: with a tool, and word by word.
 *
 *   OPENAI_BASE_URL   where the sidecar takes model calls: http://127.0.0.1:17010/v1
 *   OPENAI_API_KEY    any text: the client insists on one, the sidecar has the real one
 *   AGENT_HOME        the folder with what is approved: prompt.md, tools.json, model.json
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { HumanMessage, SystemMessage, ToolMessage } from '@langchain/core/messages';
import { ChatOpenAI } from '@langchain/openai';

const read = (name) => readFileSync(join(process.env.AGENT_HOME ?? '.', name), 'utf8');
const tools = JSON.parse(read('tools.json'));
const model = new ChatOpenAI({ model: JSON.parse(read('model.json')).id, maxRetries: 0 });
const system = new SystemMessage(read('prompt.md'));

try {
  const question = new HumanMessage(`Please call ${tools[0].function.name}, then write 8 words.`);
  const called = await model.bindTools(tools).invoke([system, question]);
  const [{ id, args }] = called.tool_calls;
  console.log(`the model searches for ${args.query}`);
  const result = new ToolMessage({ tool_call_id: id, content: 'A sponsor approves a baseline.' });
  console.log((await model.invoke([system, question, called, result])).text);

  const words = [];
  for await (const { text } of await model.stream([system, new HumanMessage('Please write 8 words.')]))
    words.push(text);
  console.log(`in pieces: ${words.join('|')}`);
} catch (error) {
  // LangChain lets the errors of OpenAI's client through.
  if (error.type !== 'ait_mesh') throw error;
  console.log(`${error.constructor.name}: ${error.message}`);
  console.log(`type ${error.type}, code ${error.code}, param ${error.param}`);
  process.exitCode = 1;
}
