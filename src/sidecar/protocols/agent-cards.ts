import { checkCardSignatures, readCardKeys, type CardKeys } from '../../crypto/agent-card-signature.ts';
import { isAgentCard, isSignedCard, relocateAgentCard } from '../../domain/a2a/agent-card.ts';
import { readCardSignatures, signedForms } from '../../domain/a2a/card-signature.ts';
import {
  JsonError,
  parseStrictJsonBytes,
  type JsonObject,
  type JsonValue,
} from '../../domain/canonical/strict-json.ts';
import { ShapeError } from '../../domain/json-shape.ts';
import { rejection, type Rejection } from '../../domain/rejection.ts';
import type { BodyVerdict } from '../../dataplane/http1/body-watch.ts';
import { readBounded } from '../measure/bounded-read.ts';
import { MeasurementProblem } from '../measure/measurement-problem.ts';
import type { CheckResult } from './protocol-metrics.ts';
import type { ProtocolSettings } from './protocols-section.ts';

const MAX_KEY_FILE_BYTES = 256 * 1024;

/** Where a card came from, and where it goes. */
export interface CardPassage {
  /** What our agent called it by: what leads back here, in the way that our agent came. */
  readonly authority: string;
  /** File with the public keys of the agent's cards; `undefined`: it has none. */
  readonly keyFile: string | undefined;
}

type CardVerdict =
  { readonly ok: true; readonly card: JsonObject } | { readonly ok: false; readonly rejection: Rejection };

/**
 * Looks at agent cards on their way to our agent. One that is not signed is made to lead through the mesh; one that is stays
 * as it is, byte by byte, and must hold. Where keys are known, a card without a signature is none of that agent.
 */
export class AgentCards {
  readonly #settings: ProtocolSettings;
  readonly #count: (result: CheckResult) => void;

  constructor({ settings, count }: { settings: ProtocolSettings; count: (result: CheckResult) => void }) {
    this.#settings = settings;
    this.#count = count;
  }

  /** A body that is a card, or has to be one. */
  inBody(body: Buffer, passage: CardPassage, { mustBe }: { readonly mustBe: boolean }): BodyVerdict {
    return this.#reading(body, (json) => {
      if (!isAgentCard(json)) {
        if (!mustBe) return body;
        throw new ShapeError('card', 'not an agent card');
      }
      const verdict = this.#judge(json, passage);
      if (!verdict.ok) return verdict.rejection;
      return verdict.card === json ? body : toBody(verdict.card);
    });
  }

  /** The answer of a JSON-RPC call for the extended card; an error is passed on as it is. */
  inRpcAnswer(body: Buffer, passage: CardPassage): BodyVerdict {
    return this.#reading(body, (json) => {
      if (typeof json !== 'object' || json === null || Array.isArray(json)) throw new ShapeError('answer', 'no object');
      const answer = json as JsonObject;
      const card = answer['result'];
      if (card === undefined || card === null) return body;
      if (!isAgentCard(card)) throw new ShapeError('answer.result', 'not an agent card');
      const verdict = this.#judge(card, passage);
      if (!verdict.ok) return verdict.rejection;
      return verdict.card === card ? body : toBody({ ...answer, result: verdict.card });
    });
  }

  #reading(body: Buffer, read: (json: JsonValue) => Buffer | Rejection): BodyVerdict {
    try {
      const outcome = read(parseStrictJsonBytes(body));
      if (Buffer.isBuffer(outcome)) return { ok: true, body: outcome };
      return { ok: false, rejection: outcome };
    } catch (error) {
      if (!(error instanceof ShapeError) && !(error instanceof JsonError)) throw error;
      this.#count('refused');
      return { ok: false, rejection: rejection('AGENT_CARD_INVALID', error.message) };
    }
  }

  #judge(card: JsonObject, { authority, keyFile }: CardPassage): CardVerdict {
    const isSigned = isSignedCard(card);
    if (keyFile === undefined && isSigned) {
      if (this.#settings.unverifiedCards === 'pass') return this.#passed(card, 'passed');
      return this.#refused('AGENT_CARD_UNVERIFIED', 'the card is signed, and no keys of its agent are configured');
    }
    if (keyFile === undefined) return this.#passed(relocateAgentCard(card, authority), 'rewritten');
    if (!isSigned) return this.#refused('AGENT_CARD_UNVERIFIED', 'the card is not signed, and keys of its agent are');
    const keys = keysIn(keyFile);
    if ('problem' in keys) return this.#refused('AGENT_CARD_UNVERIFIED', keys.problem);
    const check = checkCardSignatures(readCardSignatures(card), { forms: signedForms(card), keys: keys.keys });
    if (check.ok) return this.#passed(card, 'verified');
    if (check.why === 'invalid') return this.#refused('AGENT_CARD_SIGNATURE_INVALID', check.detail);
    return this.#refused('AGENT_CARD_UNVERIFIED', check.detail);
  }

  #passed(card: JsonObject, result: CheckResult): CardVerdict {
    this.#count(result);
    return { ok: true, card };
  }

  #refused(code: 'AGENT_CARD_UNVERIFIED' | 'AGENT_CARD_SIGNATURE_INVALID', detail: string): CardVerdict {
    this.#count('refused');
    return { ok: false, rejection: rejection(code, detail) };
  }
}

/** Read anew for each card: cards are rare, the file is small, and whoever replaces a key sees it count at once. */
function keysIn(path: string): { readonly keys: CardKeys } | { readonly problem: string } {
  try {
    return { keys: readCardKeys(parseStrictJsonBytes(readBounded(path, MAX_KEY_FILE_BYTES))) };
  } catch (error) {
    if (error instanceof MeasurementProblem) return { problem: error.message };
    if (error instanceof ShapeError || error instanceof JsonError) return { problem: `${path}: ${error.message}` };
    throw error;
  }
}

function toBody(json: JsonValue): Buffer {
  return Buffer.from(JSON.stringify(json));
}
