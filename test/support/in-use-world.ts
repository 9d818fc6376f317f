import type { Baseline } from '../../src/domain/baseline.ts';
import { digestJson, type Digest } from '../../src/domain/canonical/digest.ts';
import { parseStrictJson, type JsonObject } from '../../src/domain/canonical/strict-json.ts';
import { checkInUse, type InUseWorld } from '../../src/domain/inference/in-use-check.ts';
import type { InUseVerdict } from '../../src/domain/inference/in-use.ts';
import { parseModelCall } from '../../src/domain/inference/parse-model-call.ts';
import type { DigestTuple, Measurement, PromptDigest } from '../../src/domain/measurement.ts';
import { parseSpiffeId } from '../../src/domain/agent-id.ts';
import { digestsOfPrompt, NO_PROMPT, type KnownPrompt } from '../../src/domain/prompt/known-prompt.ts';

export const NOW = 1_000_000;
export const DECLARED = {
  system_prompt: 'declared',
  knowledge_base: 'declared',
  model: 'declared',
  tools: 'declared',
} as const;

/** A tool as chat completions have it. */
export function functionTool(name: string, description = 'does it'): JsonObject {
  return json({ type: 'function', function: { name, description, parameters: { type: 'object', properties: {} } } });
}

export function json(value: unknown): JsonObject {
  return parseStrictJson(JSON.stringify(value)) as JsonObject;
}

export interface Made {
  readonly prompts: Readonly<Record<string, KnownPrompt>> | null;
  readonly tools: readonly JsonObject[] | null;
  readonly model: string | null;
  readonly knowledge?: string;
}

/** Remembers all that it made digests of. */
export class Book {
  readonly #prompts = new Map<Digest, KnownPrompt>([[NO_PROMPT.hash, []]]);
  readonly #tools = new Map<Digest, JsonObject>();

  find(digest: Digest): KnownPrompt | undefined {
    return this.#prompts.get(digest);
  }

  findTool(digest: Digest): JsonObject | undefined {
    return this.#tools.get(digest);
  }

  tuple({ prompts, tools, model, knowledge = 'kb' }: Made): DigestTuple {
    return {
      system_prompt: prompts && { prompts: mapped(prompts, (prompt) => this.#promptDigest(prompt)) },
      knowledge_base: { version: '1', hash: digestJson(knowledge), canonicalization: 'ait-set-1' },
      model: model === null ? null : { provider: 'acme', id: model, version: '1' },
      tools: tools && {
        canonicalization: 'ait-json-1',
        tools: Object.fromEntries(tools.map((tool) => [nameOf(tool), this.#toolDigest(tool)])),
      },
    };
  }

  #promptDigest(prompt: KnownPrompt): PromptDigest {
    const [digest] = digestsOfPrompt(prompt);
    if (digest === undefined) throw new Error('a prompt without a digest');
    this.#prompts.set(digest.hash, prompt);
    return digest;
  }

  #toolDigest(tool: JsonObject): Digest {
    const digest = digestJson(tool);
    this.#tools.set(digest, tool);
    return digest;
  }
}

export function nameOf(tool: JsonObject): string {
  const name = tool['name'] ?? (tool['function'] as JsonObject)['name'];
  if (typeof name !== 'string') throw new Error('a tool without a name');
  return name;
}

function mapped<A, B>(record: Readonly<Record<string, A>>, map: (value: A) => B): Record<string, B> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, map(value)]));
}

export function approved(id: string, digests: DigestTuple, more: Partial<Baseline> = {}): Baseline {
  const agent = parseSpiffeId('spiffe://acme.example/agent/planner');
  return { id, agent, state: 'approved', approvedAt: 1, minimumAssurance: DECLARED, digests, ...more };
}

export function atRest(digests: DigestTuple): Measurement {
  const entries = Object.entries(digests as object).map(([dimension, value]: [string, object | null]) => [
    dimension,
    value && { ...value, assurance: 'at_rest' },
  ]);
  return Object.fromEntries(entries) as Measurement;
}

export interface Asked {
  readonly model?: string;
  readonly messages: readonly object[];
  readonly tools?: readonly JsonObject[];
}

/** A call to chat completions, held against the world. */
export function check(asked: Asked, world: Omit<InUseWorld, 'now'>): InUseVerdict {
  const body = json({ model: 'large', ...asked });
  return checkInUse(parseModelCall('chat_completions', body), { ...world, now: NOW });
}

export const system = (content: unknown) => ({ role: 'system', content });
export const user = (content: unknown = 'hello') => ({ role: 'user', content });
