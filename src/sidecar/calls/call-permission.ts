import type { CallDecision, CallRequest } from '../../dataplane/gate/call.ts';
import type { SpiffeId } from '../../domain/agent-id.ts';
import type { CallMatcher } from '../../domain/calls/call-matcher.ts';
import { readCallPath } from '../../domain/calls/call-path.ts';
import { OTHER_CALL } from '../../domain/grant-policy.ts';
import type { MeshState } from '../../domain/mesh-state.ts';
import { rejection } from '../../domain/rejection.ts';

/** Answers kept; beyond that the keeping starts over. */
const MAX_KEPT = 1024;
/** Longer ones, which nobody calls often, are decided each time: what is kept is bounded in bytes, too. */
const MAX_KEPT_CHARS = 256;

export interface CallPermissionDeps {
  /** Who calls, and who is called. */
  readonly from: SpiffeId;
  readonly to: SpiffeId;
  readonly state: () => MeshState | undefined;
  /** What metrics call methods that no grant names. */
  readonly named: () => CallMatcher;
}

/**
 * What the grants say of calls from one agent to another. An answer is kept per method and path for as long as the signed
 * state is the same object: the state is replaced as a whole, never changed. Without a state nothing is permitted.
 */
export class CallPermission {
  readonly #deps: CallPermissionDeps;
  readonly #kept = new Map<string, Map<string, CallDecision>>();
  #count = 0;
  #state: MeshState | undefined;
  #named: CallMatcher | undefined;

  constructor(deps: CallPermissionDeps) {
    this.#deps = deps;
  }

  decide({ method, path }: Pick<CallRequest, 'method' | 'path'>): CallDecision {
    const state = this.#deps.state();
    const named = this.#deps.named();
    if (state !== this.#state || named !== this.#named) {
      this.#forget();
      this.#state = state;
      this.#named = named;
    }
    const known = this.#kept.get(method)?.get(path);
    if (known !== undefined) return known;
    const decision = this.#ask(method, path);
    // With a query hardly any path comes twice.
    if (path.length + method.length <= MAX_KEPT_CHARS && !path.includes('?')) this.#keep(method, path, decision);
    return decision;
  }

  #ask(method: string, path: string): CallDecision {
    const { from, to } = this.#deps;
    if (this.#state === undefined) return WITHOUT_STATE;
    const asked = this.#state.grantPolicy.decideCall({ from, to, method, path });
    const label = asked.label === OTHER_CALL ? this.#nameFor(method, path) : asked.label;
    if (asked.allowed) return { permitted: true, label };
    return { permitted: false, label, rejection: rejection(asked.code, asked.detail) };
  }

  #nameFor(method: string, path: string): string {
    const reading = readCallPath(path);
    const found = reading.clear ? this.#named?.find({ method, path: reading.masked }) : undefined;
    return found?.label ?? OTHER_CALL;
  }

  #keep(method: string, path: string, decision: CallDecision): void {
    if (this.#count >= MAX_KEPT) this.#forget();
    const ofMethod = this.#kept.get(method) ?? new Map<string, CallDecision>();
    this.#kept.set(method, ofMethod.set(path, decision));
    this.#count += 1;
  }

  #forget(): void {
    this.#kept.clear();
    this.#count = 0;
  }
}

const WITHOUT_STATE: CallDecision = {
  permitted: false,
  label: OTHER_CALL,
  rejection: rejection('STATE_MISSING', 'no signed state has arrived from the authority yet'),
};
