import type { A2aPath } from '../../domain/a2a/a2a-path.ts';
import { looksLikeJson, mayListTools, mayMatterAsRequest } from '../../domain/body-scan.ts';
import { foldedName, membersLike } from '../../domain/canonical/folded-name.ts';
import {
  JsonError,
  parseStrictJson,
  parseStrictJsonBytes,
  type JsonObject,
  type JsonValue,
} from '../../domain/canonical/strict-json.ts';
import { ShapeError } from '../../domain/json-shape.ts';
import { toolRequestsIn, type ToolPage } from '../../domain/mcp/tool-page.ts';
import { rejection, type Rejection, type RejectionCode } from '../../domain/rejection.ts';
import type { BodyVerdict, ExchangeHead, ExchangeWatch, ResponseWatch } from '../../dataplane/http1/body-watch.ts';
import type { AgentCards, CardPassage } from './agent-cards.ts';
import { eventData } from './event-data.ts';
import type { MessageHead } from './message-head.ts';
import type { PageRequest } from './tool-pages.ts';

/** What is done in an exchange; what is absent is not looked at in its direction. */
export interface ExchangeDuties {
  /** Bytes of a body, and of an event. */
  readonly limit: number;
  /** @returns why a request must not go on */
  readonly pushTargets: (request: JsonValue, isPushPath: boolean) => Rejection | undefined;
  /** Only where our own agent is the caller. */
  readonly answers?:
    | {
        readonly cards: AgentCards;
        readonly passage: CardPassage;
        /** @returns why a message must not reach our agent */
        readonly tools: (
          message: JsonValue,
          requestOf: (id: ToolPage['id']) => PageRequest | undefined,
        ) => Rejection | undefined;
      }
    | undefined;
}

export interface WatchedHead {
  readonly method: ExchangeHead['method'];
  readonly a2a: A2aPath;
  readonly head: MessageHead;
  /** Whether the request body is to be read. */
  readonly readsRequest: boolean;
}

const EVENTS = /text\/event-stream/i;
const JSON_ANSWER = /json/i;

/** One exchange whose bodies are read along. */
export class WatchedExchange implements ExchangeWatch {
  readonly requestLimit: number;
  readonly #duties: ExchangeDuties;
  readonly #of: WatchedHead;
  #toolRequests: ReadonlyMap<string | number, string | undefined> = new Map();
  #asksForCard = false;

  constructor(of: WatchedHead, duties: ExchangeDuties) {
    this.#of = of;
    this.#duties = duties;
    this.requestLimit = of.readsRequest ? duties.limit : 0;
  }

  request(body: Buffer): BodyVerdict {
    const { head, a2a } = this.#of;
    if (body.length === 0) return { ok: true, body };
    if (!head.isReadable) {
      return refused('CALL_BODY_UNREADABLE', 'the body is compressed, not in UTF-8, or of two types at once');
    }
    if (!a2a.isPush && !mayMatterAsRequest(body)) return { ok: true, body };
    return reading('CALL_BODY_UNREADABLE', body, () => {
      const json = parseStrictJsonBytes(body);
      this.#toolRequests = toolRequestsIn(json);
      this.#asksForCard = isCardRequest(json);
      return this.#duties.pushTargets(json, a2a.isPush);
    });
  }

  /** Where it is not, an answer may be compressed. */
  get readsAnswer(): boolean {
    const { head, a2a, method } = this.#of;
    if (this.#duties.answers === undefined) return false;
    return this.#isMcp || this.#asksForCard || (method === 'GET' && (a2a.card !== undefined || head.takesEvents));
  }

  get #isMcp(): boolean {
    return this.#of.head.isMcp || this.#toolRequests.size > 0;
  }

  response({ status, headers }: Parameters<ExchangeWatch['response']>[0]): ResponseWatch | undefined {
    const { answers, limit } = this.#duties;
    if (answers === undefined || status < 200 || status > 299 || this.#of.method === 'HEAD') return undefined;
    const types = headers.filter(([name]) => name.toLowerCase() === 'content-type');
    const type = types.map(([, value]) => value).join(', ');
    const { cards, passage } = answers;
    const { card } = this.#of.a2a;
    if (this.#of.method === 'GET' && (card === 'well_known' || (card === 'extended' && isJson(type)))) {
      const mustBe = card === 'well_known';
      return { kind: 'whole', limit, body: (body) => cards.inBody(body, passage, { mustBe }) };
    }
    if (this.#asksForCard) return { kind: 'whole', limit, body: (body) => cards.inRpcAnswer(body, passage) };
    return this.#toolsIn(type);
  }

  #toolsIn(type: string): ResponseWatch | undefined {
    const { limit } = this.#duties;
    const { head, method } = this.#of;
    if (EVENTS.test(type)) {
      if (!this.#isMcp && !(method === 'GET' && head.takesEvents)) return undefined;
      // Which of the two a client takes it for is its own choice.
      if (JSON_ANSWER.test(type))
        return { kind: 'whole', limit, body: () => unreadable('it claims to be both events and JSON') };
      return { kind: 'events', limit, event: (event) => this.#event(event) };
    }
    return this.#isMcp ? { kind: 'whole', limit, body: (body) => this.#whole(body) } : undefined;
  }

  #whole(body: Buffer): BodyVerdict {
    if (!mayListTools(body)) return { ok: true, body };
    return reading('CALL_ANSWER_UNREADABLE', body, () => this.#judge(parseStrictJsonBytes(body)));
  }

  #event(event: Buffer): BodyVerdict {
    if (!mayListTools(event)) return { ok: true, body: event };
    const all = eventData(event);
    if (all === undefined) return unreadable('an event is not UTF-8');
    return reading('CALL_ANSWER_UNREADABLE', event, () => {
      let cause: Rejection | undefined;
      for (const data of all) if (looksLikeJson(data)) cause ??= this.#judge(parseStrictJson(data));
      return cause;
    });
  }

  #judge(message: JsonValue): Rejection | undefined {
    return this.#duties.answers?.tools(message, (id) => this.#requestOf(id));
  }

  #requestOf(id: ToolPage['id']): PageRequest | undefined {
    if (id === undefined || !this.#toolRequests.has(id)) return undefined;
    return { mcpSession: this.#of.head.mcpSession, cursor: this.#toolRequests.get(id) };
  }
}

function isJson(type: string): boolean {
  return type === '' || JSON_ANSWER.test(type);
}

/** `agent/getAuthenticatedExtendedCard` (0.3) and `GetExtendedAgentCard` (1.0). */
function isCardRequest(json: JsonValue): boolean {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return false;
  return membersLike(json as JsonObject, 'method').some(
    ([, method]) => typeof method === 'string' && /extended(?:agent)?card$/.test(foldedName(method)),
  );
}

function reading(code: RejectionCode, body: Buffer, judge: () => Rejection | undefined): BodyVerdict {
  try {
    const cause = judge();
    return cause === undefined ? { ok: true, body } : { ok: false, rejection: cause };
  } catch (error) {
    if (error instanceof JsonError || error instanceof ShapeError) return refused(code, error.message);
    throw error;
  }
}

function refused(code: RejectionCode, detail: string): BodyVerdict {
  return { ok: false, rejection: rejection(code, detail) };
}

function unreadable(detail: string): BodyVerdict {
  return refused('CALL_ANSWER_UNREADABLE', detail);
}
