import type { JsonArray, JsonObject, JsonValue } from '../canonical/strict-json.ts';
import { anyObjectAt, arrayAt } from '../json-shape.ts';
import { relocateUrl } from './agent-url.ts';

/** More ways to one agent than any card has. */
const MAX_INTERFACES = 64;
/** In the specification's spelling and in that of protobuf, both of which readers take. */
const INTERFACE_LISTS = [
  'additionalInterfaces',
  'additional_interfaces',
  'supportedInterfaces',
  'supported_interfaces',
];
/** What says that an object is a card rather than something else that has a name; one is enough. */
const MARKS = ['capabilities', 'skills', 'supportedInterfaces', 'supported_interfaces'];

/**
 * Whether a value is an A2A agent card of any version (0.2 to 1.0), as far as it matters where a card may stand among
 * other things.
 */
export function isAgentCard(value: JsonValue | undefined): value is JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const object = value as JsonObject;
  return typeof object['name'] === 'string' && MARKS.some((mark) => Object.hasOwn(object, mark));
}

/** Whether a card claims to be signed. A list of signatures that is empty claims nothing. @throws ShapeError */
export function isSignedCard(card: JsonObject): boolean {
  const signatures = card['signatures'];
  if (signatures === undefined || signatures === null) return false;
  return arrayAt(signatures, 'card.signatures', { min: 0, max: MAX_INTERFACES }).length > 0;
}

/**
 * The card with every address at which it says that the agent is reached moved to `authority`, path and query kept: `url`
 * and `additionalInterfaces` (0.2 and 0.3), `supportedInterfaces` (1.0). What else has a URL (provider, documentation,
 * security schemes) is nobody's address and stays. Fails closed: an address that cannot be moved spoils the card, because
 * a caller that follows it would go around the mesh.
 *
 * @param authority `host` or `host:port`
 * @throws ShapeError naming the member
 */
export function relocateAgentCard(card: JsonObject, authority: string): JsonObject {
  const moved = copyOf(card);
  if (isAddress(card['url'])) {
    const transport = card['preferredTransport'] ?? card['preferred_transport'];
    moved['url'] = relocateUrl(card['url'], { authority, isGrpc: transport === 'GRPC', path: 'card.url' });
  }
  for (const list of INTERFACE_LISTS) {
    const value = card[list];
    if (value !== undefined && value !== null) moved[list] = relocateInterfaces(value, authority, `card.${list}`);
  }
  return moved;
}

function relocateInterfaces(value: JsonValue, authority: string, path: string): JsonArray {
  return arrayAt(value, path, { min: 0, max: MAX_INTERFACES }).map((entry, index) => {
    const at = `${path}[${index}]`;
    const declared = anyObjectAt(entry, at);
    if (!isAddress(declared['url'])) return declared;
    const binding = declared['protocolBinding'] ?? declared['protocol_binding'] ?? declared['transport'];
    const moved = copyOf(declared);
    moved['url'] = relocateUrl(declared['url'], { authority, isGrpc: binding === 'GRPC', path: `${at}.url` });
    return moved;
  });
}

/** An empty one, which is how protobuf may spell that there is none, leads nowhere. */
function isAddress(url: JsonValue | undefined): url is JsonValue {
  return url !== undefined && url !== null && url !== '';
}

/** Keeps a member named `__proto__` a member. */
function copyOf(object: JsonObject): Record<string, JsonValue> {
  return Object.assign(Object.create(null) as Record<string, JsonValue>, object);
}
