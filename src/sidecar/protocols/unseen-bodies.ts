import type { Call, CallDecision, CallOutcome, CallPolicy, CallRequest } from '../../dataplane/gate/call.ts';
import { isA2aMethodPath, readA2aPath } from '../../domain/a2a/a2a-path.ts';
import { rejection, type Rejection } from '../../domain/rejection.ts';
import { readMessageHead } from './message-head.ts';
import type { ReadBodies } from './protocols-section.ts';

/** A2A over gRPC, of 0.3 and of 1.0: what sets a push target, and what gives an agent card with addresses in it. */
const UNSEEN_METHOD =
  /^\/(?:[a-z0-9_]+\.)*A2AService\/(?:CreateTaskPushNotificationConfig|GetExtendedAgentCard|GetAgentCard)$/;

const WITHOUT_BODY = new Set(['GET', 'HEAD', 'OPTIONS', 'DELETE']);

/**
 * The policy of a gate, which passes bodies unread, held to what must not pass unread: those calls are refused, with the
 * way to make them. What cannot be told by its head, as a push target in a message over gRPC, passes; see docs/a2a.md.
 */
export class UnseenBodies implements CallPolicy {
  readonly #policy: CallPolicy;
  readonly #bodies: (request: CallRequest) => ReadBodies;

  /** @param bodies which bodies would be read of a call, could they be */
  constructor(policy: CallPolicy, bodies: (request: CallRequest) => ReadBodies) {
    this.#policy = policy;
    this.#bodies = bodies;
  }

  decide(request: CallRequest, judgeOnly = false): CallDecision {
    const unseen = unseenBody(request, this.#bodies);
    if (unseen === undefined) return this.#policy.decide(request, judgeOnly);
    const decision = this.#policy.decide(request, true);
    return decision.permitted ? { permitted: false, label: decision.label, rejection: unseen } : decision;
  }

  started(call: Call): void {
    this.#policy.started(call);
  }

  ended(call: Call, outcome: CallOutcome): void {
    this.#policy.ended(call, outcome);
  }

  violated(cause: Rejection): void {
    this.#policy.violated(cause);
  }

  held(ms: number): void {
    this.#policy.held(ms);
  }
}

function unseenBody(request: CallRequest, bodies: (request: CallRequest) => ReadBodies): Rejection | undefined {
  const { method, isGrpc } = request;
  const what = unseenAt(request) ?? (isGrpc ? undefined : unseenInHttp(request));
  const isUnknown = what === undefined && !isGrpc && !WITHOUT_BODY.has(method);
  if (what === undefined && !isUnknown) return undefined;
  const read = bodies(request);
  if (read === 'none') return undefined;
  if (what !== undefined) return rejection('CALL_BODY_UNSEEN', `over HTTP/2 bodies are not read, and this is ${what}`);
  if (read !== 'all') return undefined;
  return rejection('CALL_BODY_UNSEEN', 'every request body is to be read, and over HTTP/2 none is');
}

/** What its path alone says, whatever protocol it claims. */
function unseenAt({ path, method, isGrpc }: CallRequest): string | undefined {
  if (isGrpc && UNSEEN_METHOD.test(path)) return 'an agent card or a push-notification configuration of A2A';
  const { card, isPush } = readA2aPath(path);
  if (card !== undefined) return 'an agent card of A2A';
  return isPush && !WITHOUT_BODY.has(method) ? 'a push-notification configuration of A2A' : undefined;
}

function unseenInHttp({ path, method, headers }: CallRequest): string | undefined {
  const head = readMessageHead(headers.map(({ name, value }) => [name, value] as const));
  if (head.isMcp) return 'a message of MCP';
  return !WITHOUT_BODY.has(method) && (head.isA2a || isA2aMethodPath(path)) ? 'a message of A2A' : undefined;
}
