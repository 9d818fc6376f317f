import { foldedName } from '../canonical/folded-name.ts';

/** What an A2A agent has at a path, as far as its body has to be read. */
export interface A2aPath {
  /** `well_known`: nothing but a card can be there. `extended`: a card, if it is an A2A agent that answers. */
  readonly card: 'well_known' | 'extended' | undefined;
  /** Whether a request to it sets a push-notification configuration. */
  readonly isPush: boolean;
}

/** The card of 0.3 and later, and of 0.2; a prefix before it is the agent's own. */
const WELL_KNOWN = /\/\.well-known\/agent(?:-card)?\.json$/;
/** HTTP+JSON: of 1.0, with a tenant before it or without, and of 0.3. */
const EXTENDED = /\/(?:extendedagentcard|v1\/card)$/;
const PUSH = /\/pushnotificationconfigs?\/?$/;
/** Methods over HTTP+JSON that carry a message; its configuration may have a push target in it. */
const SEND = /\/message:(?:send|stream)$/;
const ESCAPES = /(?:%[0-9A-Fa-f]{2})+/g;

/** @param path as it came, query included */
export function readA2aPath(path: string): A2aPath {
  // What comes up in hardly any path costs no more than this.
  if (!/card|agent|push|%|[^\x21-\x7e]/i.test(path)) return NOTHING;
  const plain = plainPath(path);
  return {
    card: WELL_KNOWN.test(plain) ? 'well_known' : EXTENDED.test(foldedName(plain)) ? 'extended' : undefined,
    isPush: PUSH.test(foldedName(plain)),
  };
}

const NOTHING: A2aPath = { card: undefined, isPush: false };

/** Whether a path, with what else is known of a request, is that of an A2A method over HTTP+JSON. */
export function isA2aMethodPath(path: string): boolean {
  const plain = plainPath(path);
  return SEND.test(plain) || PUSH.test(foldedName(plain)) || EXTENDED.test(foldedName(plain));
}

/** As the most forgiving server takes it: escapes decoded, slashes merged, nothing after a semicolon, no query. */
function plainPath(path: string): string {
  const end = path.search(/[?#]/);
  const decoded = (end === -1 ? path : path.slice(0, end)).replaceAll(ESCAPES, (escapes) => {
    try {
      return decodeURIComponent(escapes);
    } catch {
      // No text: no server reads a name of ours out of it.
      return escapes;
    }
  });
  return decoded.replaceAll(/;[^/]*/g, '').replaceAll(/\/{2,}/g, '/');
}
