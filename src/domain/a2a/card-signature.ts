import { canonicalizeJson } from '../canonical/jcs.ts';
import type { JsonObject, JsonValue } from '../canonical/strict-json.ts';
import { arrayAt, objectAt, stringAt } from '../json-shape.ts';

const MAX_SIGNATURES = 8;
const BASE64URL = /^[A-Za-z0-9_-]{1,8192}$/;

/** One entry of a card's `signatures`: a JWS in JSON form whose payload is the card (RFC 7515, section 7.2.2). */
export interface CardSignature {
  /** base64url of the protected header. */
  readonly protected: string;
  /** base64url. */
  readonly signature: string;
}

/** The signatures of a card; nothing of them is verified. @throws ShapeError */
export function readCardSignatures(card: JsonObject): readonly CardSignature[] {
  return arrayAt(card['signatures'], 'card.signatures', { min: 1, max: MAX_SIGNATURES }).map((entry, index) => {
    const at = `card.signatures[${index}]`;
    const { protected: header, signature } = objectAt(entry, at, {
      required: ['protected', 'signature'],
      // The unprotected header is not covered by the signature, and nothing is taken from it.
      optional: ['header'],
    });
    return {
      protected: stringAt(header, `${at}.protected`, BASE64URL, 'base64url'),
      signature: stringAt(signature, `${at}.signature`, BASE64URL, 'base64url'),
    };
  });
}

/**
 * The texts of which a signature may be: the card without `signatures` in RFC 8785 form, as it is, and without what is
 * empty. A2A (section 8.4.1) has the signer leave out what protobuf leaves out, a server may write it all the same, and
 * the official SDKs leave out every empty string, list and object. That says the same with and without.
 */
export function signedForms(card: JsonObject): readonly string[] {
  const { signatures: _, ...signed } = card;
  return [...new Set([canonicalizeJson(signed), canonicalizeJson(withoutEmpty(signed) ?? {})])];
}

/** @returns `undefined` where nothing is left */
function withoutEmpty(value: JsonValue): JsonValue | undefined {
  if (value === null || value === '') return undefined;
  if (typeof value !== 'object') return value;
  if (Array.isArray(value)) {
    const members = value.map(withoutEmpty).filter((member) => member !== undefined);
    return members.length > 0 ? members : undefined;
  }
  const kept = Object.create(null) as Record<string, JsonValue>;
  for (const [name, member] of Object.entries(value)) {
    const left = withoutEmpty(member);
    if (left !== undefined) kept[name] = left;
  }
  return Object.keys(kept).length > 0 ? kept : undefined;
}
