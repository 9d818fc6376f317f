import type { IncomingMessage, ServerResponse } from 'node:http';
import { isEvidenceNonce } from '../../domain/inference/evidence.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Logger } from '../../platform/logger.ts';
import type { RandomSource } from '../../platform/random.ts';
import { RateLimit } from '../../platform/rate-limit.ts';
import type { InferenceConfig, ServedModel } from '../config.ts';
import type { InferenceMetrics, RequestOutcome, ServiceEndpoint } from '../inference-metrics.ts';
import { answerTo } from '../model/answer.ts';
import type { Prompt } from '../model/prompt.ts';
import type { JsonObject } from '../../domain/canonical/strict-json.ts';
import type { AnswerFacts, AnswerForm } from './answer-form.ts';
import { ApiError, invalidRequest, sendError } from './api-error.ts';
import { chatForm } from './chat-form.ts';
import { readChatRequest } from './chat-request.ts';
import { readJsonBody } from './request-body.ts';
import { responsesForm } from './responses-form.ts';
import { readResponsesRequest } from './responses-request.ts';
import { sendAnswer } from './send-answer.ts';
import { sendJson, SIMULATED_HEADER } from './send-json.ts';

export interface RouterOptions {
  readonly config: Pick<InferenceConfig, 'models' | 'tokens_per_second' | 'limits'>;
  /** When the models were launched, seconds since the epoch. */
  readonly launchedAt: number;
  /** Why the caller gets nothing; `undefined`: it is an agent of this mesh. Asked anew for every request. */
  readonly callerProblem: (request: IncomingMessage) => string | undefined;
  /** Evidence for a nonce, bound to the certificate that this very connection shows. */
  readonly attest: (request: IncomingMessage, nonce: string) => string;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly logger: Logger;
  readonly metrics: InferenceMetrics;
}

type Handler = (request: IncomingMessage, response: ServerResponse, query: URLSearchParams) => Promise<RequestOutcome>;

interface Route {
  readonly endpoint: ServiceEndpoint;
  readonly method: 'GET' | 'POST';
  readonly handle: Handler;
}

const ID_BYTES = 12;
/** A caller whose certificate has ended can go on asking: it must not fill the disk. */
const REFUSED_LINES = { burst: 100, perSecond: 2 } as const;

/** Decides what a request is for, answers it, and counts how it ended. Paths are compared exactly. */
export class Router {
  readonly #options: RouterOptions;
  readonly #routes: ReadonlyMap<string, Route>;
  readonly #refusedLines: RateLimit;
  #answering = 0;

  constructor(options: RouterOptions) {
    this.#options = options;
    this.#refusedLines = new RateLimit({ ...REFUSED_LINES, clock: options.clock });
    this.#routes = new Map<string, Route>([
      ['/v1/models', { endpoint: 'models', method: 'GET', handle: (_, response) => this.#models(response) }],
      ['/v1/attestation', { endpoint: 'attestation', method: 'GET', handle: (...args) => this.#attestation(...args) }],
      [
        '/v1/chat/completions',
        { endpoint: 'chat_completions', method: 'POST', handle: this.#answers(readChatRequest, chatForm) },
      ],
      [
        '/v1/responses',
        { endpoint: 'responses', method: 'POST', handle: this.#answers(readResponsesRequest, responsesForm) },
      ],
    ]);
  }

  /** Answers one request; never rejects. */
  async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { metrics, logger } = this.#options;
    response.setHeader(SIMULATED_HEADER, 'true');
    const [path = '', query = ''] = (request.url ?? '').split('?', 2);
    const route = this.#routes.get(path);
    const endpoint = route?.endpoint ?? 'other';
    let outcome: RequestOutcome;
    try {
      this.#assertCaller(request);
      outcome = await this.#run(route, { request, response, query: new URLSearchParams(query) });
    } catch (error) {
      outcome = this.#failed(error, response);
      if (outcome === 'failed') logger.error('request_failed', { endpoint, error });
    }
    metrics.requests.add({ endpoint, outcome });
  }

  #run(
    route: Route | undefined,
    { request, response, query }: { request: IncomingMessage; response: ServerResponse; query: URLSearchParams },
  ): Promise<RequestOutcome> {
    const type = 'invalid_request_error';
    if (route === undefined) {
      const message = `there are ${[...this.#routes.keys()].join(', ')}`;
      throw new ApiError({ status: 404, message, type, code: 'unknown_url' });
    }
    if (request.method !== route.method) {
      throw new ApiError({ status: 405, message: `only ${route.method}`, type, code: 'method_not_allowed' });
    }
    return route.handle(request, response, query);
  }

  #assertCaller(request: IncomingMessage): void {
    const problem = this.#options.callerProblem(request);
    if (problem === undefined) return;
    if (this.#refusedLines.take()) {
      this.#options.logger.warn('caller_refused', { peer: request.socket.remoteAddress, detail: problem });
    }
    const message = 'the certificate of this connection is not one of an agent of this mesh, or not any more';
    throw new ApiError({ status: 401, message, type: 'authentication_error', code: 'certificate_refused' });
  }

  #failed(error: unknown, response: ServerResponse): RequestOutcome {
    if (response.destroyed || response.headersSent) {
      response.destroy();
      return response.req.complete ? 'failed' : 'aborted';
    }
    if (error instanceof ApiError) {
      sendError(response, error);
      return error.outcome;
    }
    const message = 'the service failed; its log has the cause';
    sendError(response, new ApiError({ status: 503, message, type: 'server_error', code: 'internal_error' }));
    return 'failed';
  }

  #models(response: ServerResponse): Promise<RequestOutcome> {
    const { config, launchedAt } = this.#options;
    const data = config.models.map(({ id, version, owned_by }: ServedModel) => {
      return { id, object: 'model', created: launchedAt, owned_by, version, simulated: true };
    });
    sendJson(response, 200, { object: 'list', data, simulated: true });
    return Promise.resolve('ok');
  }

  #attestation(...[request, response, query]: Parameters<Handler>): Promise<RequestOutcome> {
    const nonces = query.getAll('nonce');
    const [nonce] = nonces;
    if (nonces.length !== 1 || !isEvidenceNonce(nonce)) {
      throw invalidRequest('nonce', 'not one nonce of 32 bytes in base64url', 'invalid_nonce');
    }
    const evidence = this.#options.attest(request, nonce);
    sendJson(response, 200, { format: 'ait-sim-1', simulated: true, evidence });
    return Promise.resolve('ok');
  }

  #answers(
    read: (body: JsonObject, models: readonly ServedModel[]) => Prompt,
    formOf: (prompt: Prompt, facts: AnswerFacts, body: JsonObject) => AnswerForm,
  ): Handler {
    return async (request, response) => {
      const { config, clock, random, metrics } = this.#options;
      if (this.#answering >= config.limits.concurrent_streams) {
        const message = 'as many answers are under way as there may be';
        throw new ApiError({ status: 503, message, type: 'server_error', code: 'overloaded' });
      }
      this.#count(1);
      try {
        const body = await readJsonBody(request, config.limits.body_bytes);
        const prompt = read(body, config.models);
        const answer = answerTo(prompt);
        const created = Math.floor(clock.now() / 1000);
        const form = formOf(prompt, { id: random.bytes(ID_BYTES).toString('hex'), created }, body);
        const { stream, model } = prompt;
        const { promptTokens, completionTokens } = answer.usage;
        const tokensPerSecond = config.tokens_per_second;
        const outcome = await sendAnswer({ response, answer, form, stream, tokensPerSecond, clock });
        metrics.tokens.add({ model: model.id, kind: 'prompt' }, promptTokens);
        if (outcome === 'ok') metrics.tokens.add({ model: model.id, kind: 'completion' }, completionTokens);
        return outcome;
      } finally {
        this.#count(-1);
      }
    };
  }

  #count(change: 1 | -1): void {
    this.#answering += change;
    this.#options.metrics.answers.set(this.#answering);
  }
}
