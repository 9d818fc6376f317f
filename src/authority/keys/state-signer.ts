import type { JsonValue } from '../../domain/canonical/strict-json.ts';
import type { StateHead, StateObject } from '../../domain/mesh-state.ts';
import { objectDigest } from '../../domain/state-head.ts';
import { stateHeadToJson, stateObjectToJson } from '../../domain/state-objects.ts';
import { signObject } from '../../crypto/signed-object.ts';
import type { SigningKey } from './live-keys.ts';

/** Below this many signatures nothing is ever forgotten. */
const KEEP = 4096;

interface Signed {
  readonly payload: JsonValue;
  readonly keyId: string;
  readonly compact: string;
}

/** Signs objects once a key, however many sidecars get them, and heads as often as they are due. */
export class StateSigner {
  readonly #key: () => SigningKey;
  /** By the object itself: the policy hands out the same one until it changes. */
  readonly #digests = new WeakMap<object, string>();
  readonly #signed = new Map<string, Signed>();

  /** @param key the one that is active now */
  constructor(key: () => SigningKey) {
    this.#key = key;
  }

  /** Of the key that signs now. */
  get keyId(): string {
    return this.#key().keyId;
  }

  /** The digest under which a head lists the object; the object is signed on the way if it has not been. */
  digestOf(object: StateObject): string {
    const known = this.#digests.get(object.value);
    if (known !== undefined && this.#signed.has(known)) return known;
    const payload = stateObjectToJson(object);
    const digest = objectDigest(payload);
    if (!this.#signed.has(digest)) this.#sign(digest, payload);
    this.#digests.set(object.value, digest);
    return digest;
  }

  /** The object of a digest that {@link digestOf} returned, signed by the key that signs now. */
  signedObject(digest: string): string {
    const signed = this.#signed.get(digest);
    if (signed === undefined) throw new Error(`no object ${digest} was signed`);
    return signed.keyId === this.keyId ? signed.compact : this.#sign(digest, signed.payload);
  }

  signHead(head: StateHead): string {
    return signObject({ type: 'ait-head+jwt', payload: stateHeadToJson(head), ...this.#key() });
  }

  /** Forgets signatures of objects that are in none of these heads, once there are many. */
  forgetAllBut(heads: Iterable<StateHead>): void {
    if (this.#signed.size < KEEP) return;
    const live = new Set([...heads].flatMap(({ objects }) => objects));
    if (this.#signed.size < 2 * live.size) return;
    for (const digest of this.#signed.keys()) if (!live.has(digest)) this.#signed.delete(digest);
  }

  #sign(digest: string, payload: JsonValue): string {
    const key = this.#key();
    const compact = signObject({ type: 'ait-object+jwt', payload, ...key });
    this.#signed.set(digest, { payload, keyId: key.keyId, compact });
    return compact;
  }
}
