import type { KeyObject } from 'node:crypto';
import { join } from 'node:path';
import { readFile } from 'node:fs/promises';
import { importJwk } from '../../crypto/keys.ts';
import { readListedObject, verifyObject } from '../../crypto/signed-object.ts';
import { parseTrustBundle, type TrustBundle } from '../../crypto/trust-bundle.ts';
import type { SpiffeId, TrustDomain } from '../../domain/agent-id.ts';
import { canonicalizeJson } from '../../domain/canonical/jcs.ts';
import { parseStrictJson } from '../../domain/canonical/strict-json.ts';
import { assembleMeshState, type MeshState, type StateHead, type StateObject } from '../../domain/mesh-state.ts';
import { acceptHead } from '../../domain/state-head.ts';
import { parseStateHead, parseStateObject } from '../../domain/state-objects.ts';
import { isMeshError } from '../../domain/mesh-error.ts';
import { writeFileAtomic } from '../../platform/atomic-file.ts';
import { after, type Clock } from '../../platform/clock.ts';
import type { Logger } from '../../platform/logger.ts';
import type { RandomSource } from '../../platform/random.ts';
import type { TrustStore } from '../../membership/trust-store.ts';
import type { STATE_REFUSALS, SidecarMetrics } from '../sidecar-metrics.ts';

export interface StateReceiverDeps {
  readonly self: SpiffeId;
  readonly trustDomain: TrustDomain;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly logger: Logger;
  readonly metrics: SidecarMetrics;
  readonly trust: TrustStore;
  /** The last good state is kept here, to refuse an older one after a restart. */
  readonly stateDir: string;
  /** Called synchronously when state comes into force; `refresh`: the same content, valid for longer. */
  readonly onState: (change: { readonly refresh: boolean }) => void;
}

/** One signed step of the state, as it comes from the authority or from disk. */
export interface SignedState {
  readonly head: string;
  readonly objects: readonly string[];
  /** The trust bundle that came with it from the authority itself, if one did; never from disk. */
  readonly trustBundle?: string;
}

interface HeldObject {
  readonly jws: string;
  readonly object: StateObject;
}

type Refusal = { readonly code: (typeof STATE_REFUSALS)[number]; readonly detail: string };

/** Where the last good state is kept, in the state directory. */
export const STATE_FILE = 'mesh-state.json';
const NOT_RESTORED = 'the authority is asked for everything; where nobody touched the file, look at the disk it is on';

/**
 * What came into force is on disk so much later, in ms, and the time that writing takes; not at the same moment in every
 * sidecar of a machine, which have one disk.
 */
const KEEP_AFTER_MS = { least: 200, more: 400 } as const;

/**
 * Takes the authority's signed state, whole or not at all: the head's signature, the recipient, the order of revisions, and
 * that exactly the listed objects are there, each with the digest that the head says. What is refused leaves the state in force as it was.
 */
export class StateReceiver {
  readonly #deps: StateReceiverDeps;
  #head: StateHead | undefined;
  #held: ReadonlyMap<string, HeldObject> = new Map();
  #state: MeshState | undefined;
  #bundles: ReadBundles | undefined;
  #unwritten: string | undefined;
  #cancelWrite: (() => void) | undefined;
  #writing: Promise<void> = Promise.resolve();

  constructor(deps: StateReceiverDeps) {
    this.#deps = deps;
  }

  get state(): MeshState | undefined {
    return this.#state;
  }

  /** Reads the last good state from disk. It is judged like any other, and refused if it cannot be trusted. */
  async restore(): Promise<void> {
    const { stateDir, logger } = this.#deps;
    const path = join(stateDir, STATE_FILE);
    const text = await readFile(path, 'utf8').catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      logger.warn('state_unreadable', { path, error });
      return undefined;
    });
    if (text === undefined) return;
    try {
      const { head, objects } = parseStrictJson(text) as unknown as SignedState;
      const taken = this.#take({ head, objects }, { restoring: true });
      if ('code' in taken) logger.warn('state_not_restored', { path, ...taken, action: NOT_RESTORED });
    } catch (error) {
      logger.warn('state_not_restored', { path, error, action: NOT_RESTORED });
    }
  }

  /** @returns whether the state came into force; the reason why not is in the log and counted. */
  receive(signed: SignedState): boolean {
    const { metrics, logger, clock } = this.#deps;
    const taken = this.#take(signed);
    if ('code' in taken) {
      metrics.stateRefused.add({ reason: taken.code });
      logger.error('state_refused', { ...taken });
      return false;
    }
    metrics.stateRevision.set(taken.head.revision);
    metrics.stateSuccess.set(clock.now() / 1000);
    this.#keepSoon(signed.head);
    return true;
  }

  #take({ head: headJws, objects, trustBundle = '' }: SignedState, { restoring = false } = {}): MeshState | Refusal {
    const { trust, trustDomain, self, clock, logger, onState } = this.#deps;
    const keyFor = this.#keysFor(trustBundle);
    const verifiedHead = verifyObject({ compact: headJws, type: 'ait-head+jwt', keyFor });
    if (!verifiedHead.ok) return { code: 'STATE_INVALID', detail: `head: ${verifiedHead.detail}` };
    try {
      const head = parseStateHead(verifiedHead.payload);
      const decision = acceptHead({
        current: this.#head,
        next: head,
        recipient: self,
        domain: trustDomain,
        now: clock.now(),
      });
      if (!decision.accepted) {
        // Nothing may be judged by a state that has ended, but it still tells which revisions may no longer come.
        if (restoring && decision.code === 'STATE_EXPIRED') this.#head = head;
        return decision;
      }
      const known = new Map(this.#held);
      const listed = new Set(head.objects);
      for (const jws of objects) {
        const read = readListedObject(jws, listed);
        if (!read.ok) return { code: 'STATE_INVALID', detail: `object: ${read.detail}` };
        known.set(read.digest, { jws, object: parseStateObject(read.payload) });
      }
      const held = new Map<string, HeldObject>();
      for (const digest of head.objects) {
        const object = known.get(digest);
        if (object === undefined)
          return { code: 'STATE_INCOMPLETE', detail: `object ${digest} is listed but was not sent` };
        held.set(digest, object);
      }
      const state = assembleMeshState(
        head,
        [...held.values()].map(({ object }) => object),
      );
      const bundles = readBundles(held, this.#bundles);
      // Nothing above has changed anything; from here on nothing can fail.
      this.#head = head;
      this.#held = held;
      this.#state = state;
      this.#bundles = bundles;
      // At the start we have just joined, and what we learnt then is newer than what is on disk.
      if (restoring) trust.restore(bundles.bundles);
      else trust.replace(bundles.bundles);
      if (!decision.refresh)
        logger.info('state_applied', { revision: head.revision, epoch: head.epoch, objects: held.size });
      onState({ refresh: decision.refresh });
      return state;
    } catch (error) {
      return { code: 'STATE_INVALID', detail: error instanceof Error ? error.message : String(error) };
    }
  }

  /**
   * The state keys that we know; and, where the authority sent its bundle along, those in it. That is for who was out of
   * reach while the state key was replaced, or compromised: the connection vouches for the bundle, as it does at the join.
   */
  #keysFor(trustBundle: string): (keyId: string) => KeyObject | undefined {
    const { trust, trustDomain } = this.#deps;
    let sent: ReadonlyMap<string, KeyObject> | undefined;
    return (keyId) => {
      const known = trust.stateKey(trustDomain, keyId);
      if (known !== undefined || trustBundle === '') return known;
      sent ??= readStateKeys(trustBundle, trustDomain);
      return sent.get(keyId);
    };
  }

  /** Writes what is not on disk yet. To be called when nothing is received any more. */
  async flush(): Promise<void> {
    this.#cancelWrite?.();
    await this.#writeAll();
  }

  /**
   * Writes the newest, one at a time: a slow disk must not hold up the next revocation; nor must the writing itself, where
   * two hundred sidecars of one machine hear of one in the same moment.
   */
  #keepSoon(head: string): void {
    this.#unwritten = head;
    if (this.#cancelWrite !== undefined) return;
    const run = () => {
      this.#cancelWrite = undefined;
      void this.#writeAll();
    };
    const delayMs = KEEP_AFTER_MS.least + this.#deps.random.uniform() * KEEP_AFTER_MS.more;
    this.#cancelWrite = after({ delayMs, run, keepAlive: false });
  }

  #writeAll(): Promise<void> {
    this.#writing = this.#writing.then(() => this.#writeNewest());
    return this.#writing;
  }

  async #writeNewest(): Promise<void> {
    while (this.#unwritten !== undefined) {
      const next = this.#unwritten;
      this.#unwritten = undefined;
      await this.#keepOrWarn(next);
    }
  }

  /** Enforcement does not depend on it: what is in memory is in force, and each refresh tries again. */
  async #keepOrWarn(head: string): Promise<void> {
    const { logger, metrics } = this.#deps;
    try {
      await this.#keep(head);
      metrics.stateKept.set(1);
    } catch (error) {
      metrics.stateKept.set(0);
      logger.error('state_not_kept', {
        error,
        action:
          'make room, or make state_dir writable: what is in force stays, but a restart could not refuse an older state',
      });
    }
  }

  #keep(head: string): Promise<void> {
    const objects = [...this.#held.values()].map(({ jws }) => jws);
    return writeFileAtomic(join(this.#deps.stateDir, STATE_FILE), JSON.stringify({ head, objects }), { mode: 0o600 });
  }
}

/** Nothing where the bundle is malformed: then the key is unknown, and the state is refused. */
function readStateKeys(json: string, trustDomain: TrustDomain): ReadonlyMap<string, KeyObject> {
  try {
    return new Map(parseTrustBundle(json, trustDomain).stateKeys.map(({ kid, jwk }) => [kid, importJwk(jwk)]));
  } catch (error) {
    if (isMeshError(error)) return new Map();
    throw error;
  }
}

interface ReadBundles {
  /** Digests of the objects they were read from. */
  readonly from: string;
  readonly bundles: readonly TrustBundle[];
}

/**
 * Reading a bundle checks certificates, and costs more than everything else in a new state: what is the same as before
 * is not read again.
 *
 * @throws MeshError when a bundle is malformed, or there is none: a state that trusts nobody is a broken one.
 */
function readBundles(held: ReadonlyMap<string, HeldObject>, known: ReadBundles | undefined): ReadBundles {
  const found = [...held].flatMap(([digest, { object }]) => {
    return object.kind === 'bundle' ? [{ digest, ...object.value }] : [];
  });
  if (found.length === 0) throw new Error('the state has no trust bundle');
  const from = found.map(({ digest }) => digest).join(' ');
  if (known?.from === from) return known;
  const bundles = found.map(({ trustDomain, document }) => parseTrustBundle(canonicalizeJson(document), trustDomain));
  return { from, bundles };
}
