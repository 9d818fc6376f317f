/**
 * An agent of the OpenAI Agents SDK with one tool: the model calls the tool, sees its result, and answers.
 *
 *   OPENAI_BASE_URL   where the sidecar takes model calls: http://127.0.0.1:17010/v1
 *   OPENAI_API_KEY    any text: the client insists on one, the sidecar has the real one
 *   AGENT_HOME        the folder with what is approved: prompt.md, tools.json, model.json
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Agent, run, setTracingDisabled, tool } from '@openai/agents';

const read = (name) => readFileSync(join(process.env.AGENT_HOME ?? '.', name), 'utf8');
const [{ name, description, parameters }] = JSON.parse(read('tools.json')).map((each) => each.function);

// Traces would be sent to OpenAI, past the sidecar.
setTracingDisabled(true);

const agent = new Agent({
  name: 'planner',
  model: JSON.parse(read('model.json')).id,
  instructions: read('prompt.md'),
  tools: [
    tool({
      name,
      description,
      parameters,
      strict: false,
      execute: ({ query }) => {
        console.log(`the model searches for ${query}`);
        return 'A sponsor approves a baseline.';
      },
    }),
  ],
});

try {
  const { finalOutput } = await run(agent, `Please call ${name}, then write 8 words.`);
  console.log(finalOutput);

  const stream = await run(agent, 'Please write 8 words.', { stream: true });
  const words = [];
  for await (const word of stream.toTextStream()) words.push(word);
  console.log(`in pieces: ${words.join('|')}`);
} catch (error) {
  // The SDK lets the errors of OpenAI's client through.
  if (error.type !== 'ait_mesh') throw error;
  console.log(`${error.constructor.name}: ${error.message}`);
  console.log(`type ${error.type}, code ${error.code}, param ${error.param}`);
  process.exitCode = 1;
}
