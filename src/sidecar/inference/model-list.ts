import { JsonError, parseStrictJsonBytes, type JsonObject } from '../../domain/canonical/strict-json.ts';
import { rejection } from '../../domain/rejection.ts';
import { isObject } from './answer-check.ts';
import { collect } from './attested-connection.ts';
import { CallRefused } from './call-refused.ts';
import { throwEchoed } from './key-echo.ts';
import type { UpstreamAnswer } from './upstream.ts';

interface ListInput {
  /** Ids that the agent may call for: it is told of no others. */
  readonly approved: ReadonlySet<string>;
  readonly maxBytes: number;
}

/** What the API has of one model. */
interface ModelEntry {
  readonly id: string;
  readonly object: 'model';
  /** Seconds since the epoch. */
  readonly created: number;
  readonly owned_by: string;
}

/** The models that are both served and approved. @throws CallRefused */
export async function listModels(
  answer: UpstreamAnswer,
  input: ListInput,
): Promise<{ readonly object: 'list'; readonly data: readonly ModelEntry[] }> {
  return { object: 'list', data: await readModels(answer, input) };
}

/** One of them. @throws CallRefused */
export async function showModel(
  answer: UpstreamAnswer,
  input: ListInput & { readonly id: string },
): Promise<ModelEntry> {
  const models = await readModels(answer, input);
  const found = models.find(({ id }) => id === input.id);
  if (found !== undefined) return found;
  const detail = 'there is no such model, or it is not approved for this agent';
  throw new CallRefused(rejection('INFERENCE_ENDPOINT_UNKNOWN', detail), { message: detail, param: 'model' });
}

async function readModels(answer: UpstreamAnswer, { approved, maxBytes }: ListInput): Promise<ModelEntry[]> {
  if (answer.status !== 200) {
    throw new CallRefused(
      rejection('INFERENCE_UNAVAILABLE', `asked for its models, the other side answered ${answer.status}`),
    );
  }
  const bytes = await collect(answer, maxBytes);
  throwEchoed(answer, bytes.toString('utf8'));
  const entries = readEntries(bytes);
  if (entries === undefined) {
    throw new CallRefused(rejection('INFERENCE_ANSWER_INVALID', 'the list of models is none'));
  }
  return entries.flatMap(({ id, created, owned_by: owner }) => {
    if (typeof id !== 'string' || !approved.has(id)) return [];
    const since = typeof created === 'number' ? created : 0;
    return [{ id, object: 'model' as const, created: since, owned_by: typeof owner === 'string' ? owner : '' }];
  });
}

function readEntries(bytes: Buffer): readonly JsonObject[] | undefined {
  try {
    const list = parseStrictJsonBytes(bytes);
    const data = isObject(list) ? list['data'] : undefined;
    return Array.isArray(data) && data.every((entry) => isObject(entry)) ? data : undefined;
  } catch (error) {
    if (error instanceof JsonError) return undefined;
    throw error;
  }
}
