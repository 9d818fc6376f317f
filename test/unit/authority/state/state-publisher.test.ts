import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { createAuthorityMetrics } from '../../../../src/authority/authority-metrics.ts';
import { StateSigner } from '../../../../src/authority/keys/state-signer.ts';
import { indexPolicy } from '../../../../src/authority/policy/policy-index.ts';
import { StatePublisher, type Publication } from '../../../../src/authority/state/state-publisher.ts';
import type { StateSource } from '../../../../src/authority/state/recipient-view.ts';
import { WantedPeers } from '../../../../src/authority/state/wanted-peers.ts';
import { generateKeyPair } from '../../../../src/crypto/keys.ts';
import { verifyObject } from '../../../../src/crypto/signed-object.ts';
import { MeshError } from '../../../../src/domain/mesh-error.ts';
import type { StateObject } from '../../../../src/domain/mesh-state.ts';
import { createRegistry } from '../../../../src/platform/metrics-registry.ts';
import type { Change } from '../../../../src/platform/store.ts';
import { MemoryStore } from '../../../fakes/memory-store.ts';
import { createLogBook, TRUST_DOMAIN } from '../../../support/authority-harness.ts';
import { PLANNER } from '../../../support/ledger-world.ts';

/** A disk that is done when the test says so. */
class SlowStore extends MemoryStore {
  #release: ((failure?: Error) => void) | undefined;
  #asked: (() => void) | undefined;
  slow = false;

  override async commit(changes: readonly Change[]): Promise<void> {
    if (this.slow) {
      await new Promise<void>((resolve, reject) => {
        this.#release = (failure) => (failure === undefined ? resolve() : reject(failure));
        this.#asked?.();
      });
    }
    await super.commit(changes);
  }

  /** Resolves when something is being written. */
  busy(): Promise<void> {
    return new Promise((resolve) => {
      this.#asked = resolve;
    });
  }

  finish(failure?: Error): void {
    this.#release?.(failure);
  }
}

const revocation = (id: string): StateObject => {
  return { kind: 'revocation', value: { id, kind: 'instance', subject: id, reason: 'a test' } };
};

async function setUp(t: TestContext) {
  const store = new SlowStore();
  const keys = { first: generateKeyPair(), second: generateKeyPair() };
  let keyId: keyof typeof keys = 'first';
  const objects = [revocation('r-1')];
  let now = 1_000_000;
  const clock = { now: () => now, monotonic: () => now };
  const { logger, lines } = createLogBook();
  const signer = new StateSigner(() => ({ keyId, key: keys[keyId].privateKey }));
  const stateOf = (inForce: readonly StateObject[]): StateSource => ({
    policy: indexPolicy(inForce),
    endpointsOf: new Map(),
    bundle: { trustDomain: TRUST_DOMAIN, document: { keys: [] } },
    wanted: new WantedPeers(),
    now,
    ownerOf: () => undefined,
  });
  const publisher = new StatePublisher({
    trustDomain: TRUST_DOMAIN,
    store,
    signer,
    clock,
    logger,
    metrics: createAuthorityMetrics(createRegistry({ clock })),
    outageToleranceMs: 3_600_000,
    epoch: 1,
    source: () => stateOf(objects),
  });
  t.after(() => publisher.stop());
  const published: Publication[] = [];
  let heard: (() => void) | undefined;
  publisher.subscribe({
    agent: PLANNER,
    publish: (publication) => {
      published.push(publication);
      heard?.();
    },
  });
  const next = () =>
    new Promise<void>((resolve) => {
      heard = resolve;
    });
  await next();
  await turns();
  store.slow = true;
  return {
    store,
    publisher,
    published,
    next,
    lines,
    revoke: (id: string) => {
      objects.push(revocation(id));
      publisher.changed();
    },
    /** As the ledger does it: what would be in force, then the writing, then what is in force. */
    prepare: (id: string) => {
      const { changes, settled } = publisher.prepare(stateOf([...objects, revocation(id)]));
      return {
        changes,
        settle: (stored: boolean) => {
          settled(stored);
          if (stored) objects.push(revocation(id));
        },
      };
    },
    pass: (ms: number) => (now += ms),
    replaceKey: () => (keyId = 'second'),
    signedBy: (publication: Publication | undefined) => {
      const check = verifyObject({
        compact: publication?.signedHead ?? '',
        type: 'ait-head+jwt',
        keyFor: (id) => keys[id as keyof typeof keys].publicKey,
      });
      assert.ok(check.ok);
      return check.keyId;
    },
  };
}

/** Long enough for everything that waits for nothing but the event loop. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 50; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

test('a head goes to nobody before it is stored, however long that takes', async (t) => {
  const { store, published, next, revoke } = await setUp(t);
  const busy = store.busy();
  revoke('r-2');
  await busy;
  await turns();
  assert.equal(published.length, 1);
  const heard = next();
  store.finish();
  await heard;
  assert.equal(published.at(-1)?.head.revision, 2);
});

test('a head that could not be stored goes to nobody, and its revision has no second content', async (t) => {
  const { store, published, next, revoke, lines } = await setUp(t);
  const busy = store.busy();
  revoke('r-2');
  await busy;
  store.finish(new MeshError('STATE_NOT_WRITTEN', 'the disk is full'));
  await turns();
  assert.equal(published.length, 1);
  assert.ok(lines.some(({ event }) => event === 'state_not_published'));
  store.slow = false;
  const heard = next();
  revoke('r-3');
  await heard;
  assert.deepEqual(
    published.map(({ head }) => head.revision),
    [1, 2],
  );
});

test('a refresh goes out though it could not be stored: the revision and its content are', async (t) => {
  const { store, publisher, published, next, pass } = await setUp(t);
  pass(1_800_000);
  const busy = store.busy();
  publisher.changed();
  await busy;
  const heard = next();
  store.finish(new MeshError('STATE_NOT_WRITTEN', 'the disk is full'));
  await heard;
  const [first, second] = published;
  assert.equal(second?.head.revision, first?.head.revision);
  assert.equal(second?.head.issuedAt, (first?.head.issuedAt ?? 0) + 1_800_000);
});

test('what was signed while the disk was busy is signed again when the key was replaced meanwhile', async (t) => {
  const { store, published, next, revoke, replaceKey, signedBy } = await setUp(t);
  const busy = store.busy();
  revoke('r-2');
  await busy;
  await turns();
  replaceKey();
  const heard = next();
  store.finish();
  await heard;
  assert.deepEqual(published.map(signedBy), ['first', 'second']);
});

test('prepared heads go out when the change that they belong to is in force, and are those that were stored', async (t) => {
  const { published, next, prepare } = await setUp(t);
  const { changes, settle } = prepare('r-2');
  assert.deepEqual(
    changes.map(({ collection, key }) => [collection, key]),
    [['state_heads', PLANNER]],
  );
  await turns();
  assert.equal(published.length, 1);
  const heard = next();
  settle(true);
  await heard;
  const [, second] = published;
  const stored = changes[0]?.kind === 'put' ? changes[0].value : undefined;
  assert.equal(second?.head.content, (stored as { content?: unknown }).content);
  assert.equal(second?.head.revision, 2);
});

test('heads of a change that was not stored go to nobody, and their revision is free for another', async (t) => {
  const { store, published, next, prepare, revoke } = await setUp(t);
  const dropped = prepare('r-2');
  dropped.settle(false);
  await turns();
  assert.equal(published.length, 1);
  store.slow = false;
  const heard = next();
  revoke('r-3');
  await heard;
  assert.equal(published.at(-1)?.head.revision, 2);
});

test('what changes while prepared heads are being stored waits for them: no revision gets two contents', async (t) => {
  const { store, published, next, prepare, revoke } = await setUp(t);
  store.slow = false;
  const { settle } = prepare('r-2');
  revoke('r-3');
  await turns();
  assert.equal(published.length, 1);
  const prepared = next();
  settle(true);
  await prepared;
  await next();
  assert.deepEqual(
    published.map(({ head }) => head.revision),
    [1, 2, 3],
  );
  assert.deepEqual(published[2]?.head.previous, { revision: 2, content: published[1]?.head.content });
});

test('while heads are being published none are prepared: their revision is taken', async (t) => {
  const { store, prepare, revoke } = await setUp(t);
  const busy = store.busy();
  revoke('r-2');
  await busy;
  assert.deepEqual(prepare('r-3').changes, []);
  store.finish();
});
