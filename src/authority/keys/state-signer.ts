import type { StateHead, StateObject } from '../../domain/mesh-state.ts';
import { objectDigest } from '../../domain/state-head.ts';
import { stateHeadToJson, stateObjectToJson } from '../../domain/state-objects.ts';
import { signObject } from '../../crypto/signed-object.ts';
import type { SigningKey } from './certificate-authority.ts';

/** Below this many signatures nothing is ever forgotten. */
const KEEP = 4096;

/** Signs objects once, however many sidecars get them, and heads as often as they are due. */
export class StateSigner {
  readonly #key: SigningKey;
  /** By the object itself: the policy hands out the same one until it changes. */
  readonly #digests = new WeakMap<object, string>();
  readonly #signed = new Map<string, string>();

  constructor(key: SigningKey) {
    this.#key = key;
  }

  /** The digest under which a head lists the object; the object is signed on the way if it has not been. */
  digestOf(object: StateObject): string {
    const known = this.#digests.get(object.value);
    if (known !== undefined && this.#signed.has(known)) return known;
    const payload = stateObjectToJson(object);
    const digest = objectDigest(payload);
    if (!this.#signed.has(digest))
      this.#signed.set(digest, signObject({ type: 'ait-object+jwt', payload, ...this.#key }));
    this.#digests.set(object.value, digest);
    return digest;
  }

  /** The signed object of a digest that {@link digestOf} returned. */
  signedObject(digest: string): string {
    const compact = this.#signed.get(digest);
    if (compact === undefined) throw new Error(`no object ${digest} was signed`);
    return compact;
  }

  signHead(head: StateHead): string {
    return signObject({ type: 'ait-head+jwt', payload: stateHeadToJson(head), ...this.#key });
  }

  /** Forgets signatures of objects that are in none of these heads, once there are many. */
  forgetAllBut(heads: Iterable<StateHead>): void {
    if (this.#signed.size < KEEP) return;
    const live = new Set([...heads].flatMap(({ objects }) => objects));
    if (this.#signed.size < 2 * live.size) return;
    for (const digest of this.#signed.keys()) if (!live.has(digest)) this.#signed.delete(digest);
  }
}
