/**
 * What an agent has in mind: system prompt, tools and model, read once at start, kept in memory, and sent with every call
 * to its model. The model is called with OpenAI's own client, which takes what it needs from the environment:
 *
 *   OPENAI_BASE_URL   where the model answers; without it the agent goes on without a model
 *   OPENAI_API_KEY    the key; behind a sidecar any text will do, because the sidecar has the real one
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type OpenAI from 'openai';

type Tool = OpenAI.ChatCompletionFunctionTool;

/** A tool as MCP servers list it. */
interface McpTool {
  readonly name: string;
  readonly description: string;
  readonly inputSchema: Record<string, unknown>;
}

/** What goes along with every call. */
interface Memory {
  readonly prompt: string;
  readonly tools: readonly Tool[];
  /** Id of the model. */
  readonly model: string;
}

export interface Thought {
  readonly text: string;
  /** Tokens of question and answer, as the model counts them. */
  readonly tokens: number;
}

/** A model that does not answer is not worth waiting for much longer, in ms. */
const TIMEOUT_MS = 10_000;

export class Mind {
  readonly #client: OpenAI | undefined;
  readonly #asRead: Memory;
  #memory: Memory;

  private constructor(client: OpenAI | undefined, memory: Memory) {
    this.#client = client;
    this.#asRead = memory;
    this.#memory = memory;
  }

  /** @param home the folder with `prompts/system.md`, `tools.json` and `model.json`. */
  static async read(home: string): Promise<Mind> {
    const text = (file: string): string => readFileSync(join(home, file), 'utf8');
    const { tools } = JSON.parse(text('tools.json')) as { tools: readonly (Tool | McpTool)[] };
    const { id } = JSON.parse(text('model.json')) as { id: string };
    const memory = { prompt: text('prompts/system.md'), tools: tools.map(asFunction), model: id };
    if ((process.env['OPENAI_BASE_URL'] ?? '') === '') return new Mind(undefined, memory);
    // Loaded only where there is somebody to call: it is the largest part of such a program.
    const { default: Client } = await import('openai');
    return new Mind(new Client(), memory);
  }

  /** Whether there is a model to ask. */
  get hasModel(): boolean {
    return this.#client !== undefined;
  }

  get memory(): Memory {
    return this.#memory;
  }

  /** One answer, whole. @throws OpenAI.APIError */
  async ask(question: string): Promise<Thought> {
    const answer = await this.#model.chat.completions.create(this.#request(question), { timeout: TIMEOUT_MS });
    return { text: answer.choices[0]?.message.content ?? '', tokens: answer.usage?.total_tokens ?? 0 };
  }

  /** One answer, read word by word as it comes. @throws OpenAI.APIError, also in the middle */
  async listen(question: string): Promise<Thought> {
    const words = await this.#model.chat.completions.create(
      { ...this.#request(question), stream: true, stream_options: { include_usage: true } },
      { timeout: TIMEOUT_MS },
    );
    let text = '';
    let tokens = 0;
    for await (const { choices, usage } of words) {
      text += choices[0]?.delta.content ?? '';
      tokens = usage?.total_tokens ?? tokens;
    }
    return { text, tokens };
  }

  // What only somebody who got into this process can do: nothing of it is in any file.

  appendToPrompt(text: string): void {
    this.#memory = { ...this.#memory, prompt: `${this.#memory.prompt}${text}\n` };
  }

  addTool(name: string): void {
    const tool: Tool = {
      type: 'function',
      function: { name, description: 'Does whatever it is told.', parameters: { type: 'object', properties: {} } },
    };
    this.#memory = { ...this.#memory, tools: [...this.#memory.tools, tool] };
  }

  swapModel(id: string): void {
    this.#memory = { ...this.#memory, model: id };
  }

  /** Back to what was read at start. */
  restore(): void {
    this.#memory = this.#asRead;
  }

  get #model(): OpenAI {
    if (this.#client === undefined) throw new TypeError('there is no model: OPENAI_BASE_URL is not set');
    return this.#client;
  }

  #request(question: string): OpenAI.ChatCompletionCreateParamsNonStreaming {
    const { prompt, tools, model } = this.#memory;
    return {
      model,
      messages: [
        { role: 'system', content: prompt },
        { role: 'user', content: question },
      ],
      tools: [...tools],
    };
  }
}

/** Why there was no answer, in one line. */
export function describeRefusal(error: unknown): { readonly status: string; readonly detail: string } {
  const { status, code, message } = error as { status?: number; code?: string | null; message: string };
  return { status: code ?? (status === undefined ? 'UNREACHABLE' : `HTTP_${status}`), detail: message };
}

function asFunction(tool: Tool | McpTool): Tool {
  if (!('inputSchema' in tool)) return tool;
  const { name, description, inputSchema } = tool;
  return { type: 'function', function: { name, description, parameters: inputSchema } };
}
