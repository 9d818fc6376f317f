import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ModelCall } from '../../domain/inference/model-call.ts';
import { rejection, type Rejection } from '../../domain/rejection.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Logger } from '../../platform/logger.ts';
import { RateLimit } from '../../platform/rate-limit.ts';
import type { SidecarMetrics } from '../sidecar-metrics.ts';
import { endWithError, relayAnswer } from './answer-relay.ts';
import { AgentHungUp, CallRefused, errorBody } from './call-refused.ts';
import type { CallOutcome } from './inference-metrics.ts';
import type { InUseGuard } from './in-use-guard.ts';
import type { ModelCalls, OpenCall } from './model-calls.ts';
import type { ModelNames } from './model-names.ts';
import { listModels, showModel } from './model-list.ts';
import { readModelCall, routeOf, type Route } from './model-request.ts';
import type { Upstream } from './upstream.ts';

export interface ModelCallingDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: SidecarMetrics;
  readonly calls: ModelCalls;
  readonly guard: InUseGuard;
  readonly upstream: Upstream;
  readonly names: ModelNames;
  readonly newCorrelationId: () => string;
  readonly limits: { readonly bodyBytes: number; readonly answerBytes: number; readonly eventBytes: number };
}

/** What of the agent's own headers goes on: with it its traces stay whole. Everything else stays here. */
const FORWARDED = { traceparent: /^[0-9a-f-]{1,128}$/, tracestate: /^[\x20-\x7e]{1,512}$/ } as const;
/** Refusals come as often as the agent likes: they must not fill the disk. */
const REFUSED_LINES = { burst: 100, perSecond: 2 } as const;

interface Story {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly open: OpenCall;
  /** Monotonic ms. */
  readonly startedAt: number;
  /** As metrics name it. */
  model: string;
  observed: boolean;
}

/**
 * One call, from its head to its last byte: registered, read, judged, sent once, and answered with what was checked.
 * Whatever goes wrong, the agent gets an error of the form that clients of the API know, or the end of its stream.
 */
export class ModelCalling {
  readonly #deps: ModelCallingDeps;
  readonly #refusedLines: RateLimit;

  constructor(deps: ModelCallingDeps) {
    this.#deps = deps;
    this.#refusedLines = new RateLimit({ ...REFUSED_LINES, clock: deps.clock });
  }

  async take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { calls, clock, newCorrelationId } = this.#deps;
    const correlationId = newCorrelationId();
    response.setHeader('ait-correlation-id', correlationId);
    const hungUp = new AbortController();
    response.once('close', () => hungUp.abort());
    const startedAt = clock.monotonic();
    let open: OpenCall | undefined;
    try {
      throwPipelined(response);
      open = calls.begin(correlationId);
      const story: Story = {
        request,
        response,
        open: { ...open, signal: AbortSignal.any([open.signal, hungUp.signal]) },
        startedAt,
        model: 'other',
        observed: false,
      };
      await this.#serve(story);
    } catch (error) {
      this.#fail({ error, response, correlationId, model: 'other' });
    } finally {
      open?.close();
    }
  }

  async #serve(story: Story): Promise<void> {
    try {
      const route = routeOf(story.request);
      const outcome = route.kind === 'call' ? await this.#call(story, route) : await this.#models(story, route);
      this.#count(story.model, story.observed && outcome === 'answered' ? 'observed' : outcome);
    } catch (error) {
      const { response, open, model } = story;
      this.#fail({
        error: open.signal.aborted ? endOfCall(open.signal, error) : error,
        response,
        correlationId: open.correlationId,
        model,
      });
    }
  }

  async #call(story: Story, { endpoint, path }: Route & { kind: 'call' }): Promise<CallOutcome> {
    const { guard, upstream, limits, names, metrics, clock } = this.#deps;
    const { request, response, open, startedAt } = story;
    // Before the body is read, too: nobody has to send 8 MiB in order to be told no.
    throwRefused(guard.standing());
    const call = await readModelCall(request, { endpoint, response, maxBytes: limits.bodyBytes });
    story.model = names.label(call.model);
    const admitted = guard.admit(call, open.correlationId);
    story.observed = admitted.observed;
    const answer = await upstream.send({
      method: 'POST',
      path,
      headers: { ...forwarded(request), 'content-type': 'application/json', accept: acceptOf(call) },
      body: Buffer.from(JSON.stringify(call.body)),
      signal: open.signal,
      beforeWrite: admitted.recheck,
    });
    const seconds = () => (clock.monotonic() - startedAt) / 1000;
    const outcome = await relayAnswer({
      answer,
      response,
      correlationId: open.correlationId,
      signal: open.signal,
      rules: { endpoint, models: names.answersFor(call.model) },
      isStream: call.stream,
      limits,
      onFirstEvent: () => metrics.inferenceFirstToken.observe(seconds()),
      onUsage: ({ prompt, completion }) => {
        metrics.inferenceTokens.add({ kind: 'prompt' }, prompt);
        metrics.inferenceTokens.add({ kind: 'completion' }, completion);
      },
    });
    if (outcome === 'answered') metrics.inferenceDuration.observe(seconds());
    return outcome;
  }

  async #models(story: Story, route: Exclude<Route, { kind: 'call' }>): Promise<CallOutcome> {
    const { guard, upstream, names, limits } = this.#deps;
    const { response, open } = story;
    throwRefused(guard.standing());
    const answer = await upstream.send({
      method: 'GET',
      path: '/models',
      headers: { accept: 'application/json' },
      signal: open.signal,
      beforeWrite: () => guard.standing(),
    });
    const approved = names.approved();
    const body =
      route.kind === 'models'
        ? await listModels(answer, { approved, maxBytes: limits.answerBytes })
        : await showModel(answer, { approved, maxBytes: limits.answerBytes, id: route.id });
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    return 'answered';
  }

  #fail({ error, response, correlationId, model }: Failure): void {
    const { logger } = this.#deps;
    if (error instanceof AgentHungUp) {
      this.#count(model, 'aborted');
      response.destroy();
      return;
    }
    if (!(error instanceof CallRefused)) {
      // A defect of ours: contained by whoever called.
      response.destroy();
      throw error;
    }
    const { code, detail } = error.rejection;
    this.#count(model, code);
    if (this.#refusedLines.take()) logger.warn('model_call_refused', { correlationId, code, detail, model });
    if (response.headersSent) endWithError(response, error, correlationId);
    else {
      const body = JSON.stringify(errorBody(error, correlationId));
      // What is still coming of the request is not waited for.
      const closing = response.req.complete ? {} : { connection: 'close' };
      response.writeHead(error.status, { 'content-type': 'application/json', ...closing }).end(body);
    }
  }

  #count(model: string, outcome: CallOutcome): void {
    this.#deps.metrics.inferenceRequests.add({ model, outcome });
  }
}

interface Failure {
  readonly error: unknown;
  readonly response: ServerResponse;
  readonly correlationId: string;
  readonly model: string;
}

/**
 * An answer that has to wait for the one before has no connection yet, and Node does not tell it of a hang-up: the call
 * would stay open for good. No client of the API sends the next request so early.
 */
function throwPipelined({ socket }: ServerResponse): void {
  if (socket !== null) return;
  const detail = 'the request was sent before the one before was answered (pipelining), which is not accepted';
  throw new CallRefused(rejection('INFERENCE_REQUEST_INVALID', detail), { message: detail });
}

function throwRefused(cause: Rejection | undefined): void {
  if (cause !== undefined) throw new CallRefused(cause);
}

/** A call that was ended from outside says why; what broke because of it says nothing. */
function endOfCall(signal: AbortSignal, error: unknown): unknown {
  if (error instanceof CallRefused) return error;
  return signal.reason instanceof CallRefused ? signal.reason : new AgentHungUp('the agent hung up', { cause: error });
}

function acceptOf({ stream }: ModelCall): string {
  return stream ? 'text/event-stream' : 'application/json';
}

function forwarded({ headers }: IncomingMessage): Record<string, string> {
  return Object.fromEntries(
    Object.entries(FORWARDED).flatMap(([name, pattern]) => {
      const value = headers[name];
      return typeof value === 'string' && pattern.test(value) ? [[name, value]] : [];
    }),
  );
}
