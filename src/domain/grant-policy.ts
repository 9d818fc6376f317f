import type { SpiffeId } from './agent-id.ts';
import { CallMatcher } from './calls/call-matcher.ts';
import type { CallPattern } from './calls/call-pattern.ts';
import { readCallPath } from './calls/call-path.ts';

/** Permission for one agent to connect to another, and to make calls there. */
export interface Grant {
  readonly id: string;
  readonly from: SpiffeId;
  readonly to: SpiffeId;
  /**
   * The calls it permits. `undefined`: every call, and connections whose calls cannot be seen. An empty list, which no
   * reader lets through, permits nothing, the connection included.
   */
  readonly calls?: readonly CallPattern[];
}

export interface ConnectionRequest {
  readonly from: SpiffeId;
  readonly to: SpiffeId;
}

/** A call on a connection between the two. */
export interface GrantedCallRequest extends ConnectionRequest {
  /** As it came. */
  readonly method: string;
  /** `:path` as it came, query included. */
  readonly path: string;
}

export type GrantDecision = { readonly allowed: true; readonly grant: string } | { readonly allowed: false };

/**
 * `label` is what metrics call the method: the pattern that covers the call, as written; {@link OTHER_CALL} where none
 * does. `detail` is one line, safe for logs.
 */
export type CallGrantDecision =
  | { readonly allowed: true; readonly grant: string; readonly label: string }
  | {
      readonly allowed: false;
      readonly label: string;
      readonly code: 'GRANT_MISSING' | 'CALL_NOT_GRANTED' | 'CALL_PATH_AMBIGUOUS';
      readonly detail: string;
    };

/** The label of a call that no pattern covers. */
export const OTHER_CALL = 'other';

/**
 * The port behind which the permission to connect and to call is decided, so that a policy engine can take its place.
 * An implementation denies by default, decides synchronously and never throws.
 */
export interface GrantPolicy {
  /** Whether the one may connect to the other at all. */
  decide(request: ConnectionRequest): GrantDecision;
  /** Whether one call may go on. Several grants for one pair permit what any of them does. */
  decideCall(request: GrantedCallRequest): CallGrantDecision;
  /** Whether a connection may be carried on which single calls cannot be seen. */
  allowsOpaque(request: ConnectionRequest): boolean;
}

/** What all grants of one pair come to. */
interface PairGrants {
  /** The id of the first grant. */
  readonly first: string;
  /** The id of the first grant that lists no calls. */
  readonly unrestricted: string | undefined;
  readonly calls: CallMatcher;
}

/** Grants as plain data: allowed only if a grant names exactly this pair. No grants: nobody is allowed. */
export function createGrantTable(grants: readonly Grant[]): GrantPolicy {
  const byPair = new Map<string, Grant[]>();
  for (const grant of grants) {
    if (grant.calls?.length === 0) continue;
    byPair.set(pairKey(grant), [...(byPair.get(pairKey(grant)) ?? []), grant]);
  }
  const table = new Map<string, PairGrants>();
  for (const [key, own] of byPair) table.set(key, mergeGrants(own));
  return {
    decide(request) {
      const found = table.get(pairKey(request));
      return found === undefined ? { allowed: false } : { allowed: true, grant: found.first };
    },
    decideCall(request) {
      const found = table.get(pairKey(request));
      return found === undefined ? missing(request) : decideAmong(found, request);
    },
    allowsOpaque(request) {
      return table.get(pairKey(request))?.unrestricted !== undefined;
    },
  };
}

function mergeGrants(grants: readonly Grant[]): PairGrants {
  const patterns = grants.flatMap(({ id, calls = [] }) => calls.map((pattern) => ({ owner: id, pattern })));
  return {
    first: grants[0]?.id ?? '',
    unrestricted: grants.find(({ calls }) => calls === undefined)?.id,
    calls: new CallMatcher(patterns),
  };
}

function decideAmong({ unrestricted, calls }: PairGrants, request: GrantedCallRequest): CallGrantDecision {
  const reading = readCallPath(request.path);
  const found = reading.clear ? calls.find({ method: request.method, path: reading.masked }) : undefined;
  if (found !== undefined) return { allowed: true, grant: found.owner, label: found.label };
  if (unrestricted !== undefined) return { allowed: true, grant: unrestricted, label: OTHER_CALL };
  if (!reading.clear) {
    const detail = `the path of a call from ${request.from} to ${request.to} can be read in several ways: it has ${reading.why}`;
    return { allowed: false, label: OTHER_CALL, code: 'CALL_PATH_AMBIGUOUS', detail };
  }
  const detail = `no grant lets ${request.from} call ${describeCall(request.method, reading.path)} of ${request.to}`;
  return { allowed: false, label: OTHER_CALL, code: 'CALL_NOT_GRANTED', detail };
}

function missing({ from, to }: ConnectionRequest): CallGrantDecision {
  const detail = `no grant lets ${from} connect to ${to}`;
  return { allowed: false, label: OTHER_CALL, code: 'GRANT_MISSING', detail };
}

const SHOWN_PATH = 160;
const SHOWN_METHOD = /^[!-~]{1,32}$/;

/** Bounded, and printable: a clear path is. The query, which may hold secrets, has been cut off. */
function describeCall(method: string, path: string): string {
  const shown = path.length > SHOWN_PATH ? `${path.slice(0, SHOWN_PATH)}…` : path;
  return `${SHOWN_METHOD.test(method) ? method : '(unprintable method)'} ${shown}`;
}

/** A space cannot occur in a SPIFFE ID, so no two pairs share a key. */
function pairKey({ from, to }: ConnectionRequest): string {
  return `${from} ${to}`;
}
