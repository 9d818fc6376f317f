import { foldedName, membersLike } from '../canonical/folded-name.ts';
import type { JsonObject, JsonValue } from '../canonical/strict-json.ts';
import { readPlainUrl } from './agent-url.ts';

/** What is in every name of a push-notification configuration, and of the methods that set one, in any version. */
const PUSH = 'pushnotification';
/** Members of a message or of a request that servers take as content, not as instructions to themselves. */
const CONTENT = new Set(['message', 'metadata']);
/** How many targets one request can have; more is no honest one. */
const MAX_TARGETS = 64;

/** What a request asks, as far as its path tells. */
export interface PushRequest {
  /** Whether all of the body is a push-notification configuration, as it is for `/tasks/{id}/pushNotificationConfigs`. */
  readonly isPushPath: boolean;
}

/**
 * The URLs to which a request tells an A2A agent to send notifications of a task: of JSON-RPC (`message/send`,
 * `tasks/pushNotificationConfig/set`, `SendMessage`, `CreateTaskPushNotificationConfig`), of HTTP+JSON, and of all versions
 * and spellings at once. Names are compared as the most forgiving reader does. What stands for a URL and is no string
 * is told as an empty one, which nothing grants.
 *
 * @returns `undefined` where there are more than an honest request has
 */
export function pushTargetsIn(body: JsonValue, { isPushPath }: PushRequest): readonly string[] | undefined {
  const found: string[] = [];
  const requests = Array.isArray(body) ? (body as readonly JsonValue[]) : [body];
  for (const request of requests) {
    if (!isObject(request)) continue;
    collect(request, { inside: isPushPath || isPushMethod(request), depth: 0 }, found);
  }
  return found.length > MAX_TARGETS ? undefined : found;
}

/** Getting, listing and deleting name no URL, so that it does not matter that they are among these. */
function isPushMethod(request: JsonObject): boolean {
  return membersLike(request, 'method').some(
    ([, method]) => typeof method === 'string' && foldedName(method).includes(PUSH),
  );
}

interface Place {
  /** Whether a configuration is around it. */
  readonly inside: boolean;
  readonly depth: number;
}

/** `message` and `metadata` are content where a request has them: at its top, or in `params`. */
const DEEPEST_CONTENT = 1;

function collect(value: JsonValue, { inside, depth }: Place, found: string[]): void {
  if (Array.isArray(value)) {
    for (const member of value as readonly JsonValue[]) collect(member, { inside, depth: depth + 1 }, found);
    return;
  }
  if (!isObject(value)) return;
  for (const [name, member] of Object.entries(value)) {
    const folded = foldedName(name);
    if (inside && folded === 'url') {
      if (member !== null) found.push(typeof member === 'string' ? member : '');
    } else if (!inside && depth <= DEEPEST_CONTENT && CONTENT.has(folded)) continue;
    else collect(member, { inside: inside || folded.includes(PUSH), depth: depth + 1 }, found);
  }
}

/** Where notifications may go. */
export interface PushTargetRules {
  /** Whether the host is the name of an agent of this mesh, such as `planner.mesh`. */
  readonly isAgent: (host: string) => boolean;
  /** Origins outside the mesh that are granted, as {@link readOrigin} writes them. */
  readonly granted: ReadonlySet<string>;
}

/**
 * Whether an agent may be told to send notifications there: to an agent of the mesh, through the mesh, or to an origin that
 * is granted. Fails closed: what is no plain absolute URL is nowhere.
 */
export function mayNotify(url: string, { isAgent, granted }: PushTargetRules): boolean {
  const plain = readPlainUrl(url);
  if (plain === undefined) return false;
  if (plain.scheme === 'http' && isAgent(plain.host)) return true;
  const origin = readOrigin(url);
  return origin !== undefined && granted.has(origin);
}

const DEFAULT_PORTS: Readonly<Record<string, number>> = { http: 80, https: 443 };

/** The origin of an HTTP URL in its one spelling: `https://hooks.example.com:443`. @returns `undefined`: it has none */
export function readOrigin(url: string): string | undefined {
  const plain = readPlainUrl(url);
  const usual = plain === undefined ? undefined : DEFAULT_PORTS[plain.scheme];
  if (plain === undefined || usual === undefined) return undefined;
  return `${plain.scheme}://${plain.host}:${plain.port ?? usual}`;
}

function isObject(value: JsonValue): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
