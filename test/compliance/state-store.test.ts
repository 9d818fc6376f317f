import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { JsonValue } from '../../src/domain/canonical/strict-json.ts';
import { isMeshError } from '../../src/domain/mesh-error.ts';
import { FileStore } from '../../src/platform/file-store.ts';
import type { StateStore } from '../../src/platform/store.ts';
import { MemoryStore } from '../fakes/memory-store.ts';

/** What every state store must do, whatever it is made of. */
const implementations: Readonly<Record<string, (directory: string) => Promise<StateStore>>> = {
  MemoryStore: async () => new MemoryStore(),
  FileStore: (directory) => FileStore.open(directory),
};

const conflict = (error: unknown): boolean => isMeshError(error, 'STATE_CONFLICT');

for (const [name, open] of Object.entries(implementations)) {
  describe(`${name} as a state store`, () => {
    let directory: string;
    let store: StateStore;
    beforeEach(async () => {
      directory = mkdtempSync(join(tmpdir(), 'state-store-'));
      store = await open(directory);
    });
    afterEach(async () => {
      await store.close();
      rmSync(directory, { recursive: true, force: true });
    });
    const put = (key: string, value: JsonValue) => ({ kind: 'put', collection: 'agents', key, value }) as const;
    const remove = (key: string) => ({ kind: 'delete', collection: 'agents', key }) as const;

    test('has nothing at first', async () => {
      assert.equal(await store.get('agents', 'a'), undefined);
      assert.deepEqual(await store.list('agents'), []);
    });

    test('gives back what was put, whatever JSON it is', async () => {
      const value = { text: 'a\u0000\u2028"é', list: [1.5, null, false, { deep: [] }], __proto: 1, empty: {} };
      await store.commit([put('a', value)]);
      assert.deepEqual(await store.get('agents', 'a'), value);
    });

    test('takes any key, also the names of Object', async () => {
      const keys = ['__proto__', 'constructor', 'spiffe://acme.example/agent/a', 'é', ' '];
      await store.commit(keys.map((key) => put(key, key)));
      for (const key of keys) assert.equal(await store.get('agents', key), key);
      assert.equal(await store.get('agents', 'toString'), undefined);
    });

    test('lists in the order of keys', async () => {
      await store.commit([put('b', 1), put('a', 2), put('B', 3)]);
      assert.deepEqual(await store.list('agents'), [
        { key: 'B', value: 3 },
        { key: 'a', value: 2 },
        { key: 'b', value: 1 },
      ]);
    });

    test('keeps collections apart', async () => {
      await store.commit([put('a', 1), { kind: 'put', collection: 'grants', key: 'a', value: 2 }]);
      assert.deepEqual([await store.get('agents', 'a'), await store.get('grants', 'a')], [1, 2]);
    });

    test('makes changes in order and deletes what is there or not', async () => {
      await store.commit([put('a', 1), put('a', 2), remove('b')]);
      assert.equal(await store.get('agents', 'a'), 2);
      await store.commit([remove('a')]);
      assert.deepEqual(await store.list('agents'), []);
    });

    test('makes all changes or none', async () => {
      await store.commit([put('a', 1)]);
      const changes = [put('a', 2), remove('a'), put('b', 1), { ...put('a', 3), condition: { equals: 1 } }];
      await assert.rejects(store.commit(changes), conflict);
      assert.deepEqual(await store.list('agents'), [{ key: 'a', value: 1 }]);
    });

    test('checks conditions against the changes before them', async () => {
      await store.commit([put('a', { x: 1, y: 2 }), { ...put('a', 2), condition: { equals: { y: 2, x: 1 } } }]);
      await store.commit([remove('a'), { ...put('a', 3), condition: { absent: true } }]);
      await assert.rejects(store.commit([{ ...put('a', 4), condition: { absent: true } }]), conflict);
      await assert.rejects(store.commit([{ ...remove('z'), condition: { equals: null } }]), conflict);
      assert.equal(await store.get('agents', 'a'), 3);
    });

    test('lets exactly one of many racing commits win', async () => {
      const attempts = Array.from({ length: 20 }, (_, n) =>
        store.commit([{ ...put('leader', n), condition: { absent: true } }]),
      );
      const results = await Promise.allSettled(attempts);
      assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1);
    });

    test('makes every one of many commits side by side, each after the one its maker made before', async () => {
      const makers = Array.from({ length: 20 }, async (_, maker) => {
        for (let step = 0; step < 10; step += 1) {
          const condition = step === 0 ? ({ absent: true } as const) : { equals: step - 1 };
          await store.commit([{ ...put(`maker-${maker}`, step), condition }]);
          assert.equal(await store.get('agents', `maker-${maker}`), step, 'what resolved can be read');
        }
      });
      await Promise.all(makers);
      assert.deepEqual(
        (await store.list('agents')).map(({ value }) => value),
        makers.map(() => 9),
      );
    });

    test('refuses of commits side by side the one whose condition does not hold, and no other', async () => {
      const results = await Promise.allSettled([
        store.commit([put('a', 1)]),
        store.commit([put('b', 1), { ...put('a', 2), condition: { absent: true } }]),
        store.commit([{ ...put('c', 1), condition: { absent: true } }]),
        store.commit([]),
      ]);
      assert.deepEqual(
        results.map(({ status }) => status),
        ['fulfilled', 'rejected', 'fulfilled', 'fulfilled'],
      );
      assert.deepEqual(
        (await store.list('agents')).map(({ key }) => key),
        ['a', 'c'],
      );
    });

    test('refuses what is not JSON, and names and keys outside the rules, changing nothing', async () => {
      const values = [undefined, NaN, Infinity, 1n, new Date(0), () => 1, new Map(), [undefined]];
      for (const value of values) {
        await assert.rejects(store.commit([put('ok', 1), put('a', value as JsonValue)]), TypeError, typeof value);
      }
      await assert.rejects(store.commit([put('', 1)]), TypeError);
      for (const collection of ['', '../x', 'Agents', '__proto__']) {
        await assert.rejects(store.commit([{ kind: 'put', collection, key: 'a', value: 1 }]), TypeError, collection);
      }
      assert.deepEqual(await store.list('agents'), []);
    });

    test('is not changed through what was put or what was read', async () => {
      const value = { list: [1] };
      await store.commit([put('a', value)]);
      value.list.push(2);
      const read = (await store.get('agents', 'a')) as { list: number[] };
      assert.throws(() => read.list.push(3), TypeError);
      assert.deepEqual(await store.get('agents', 'a'), { list: [1] });
    });

    test('refuses everything once closed, and closes twice', async () => {
      const pending = store.commit([put('a', 1)]);
      await store.close();
      await pending;
      await store.close();
      await assert.rejects(store.get('agents', 'a'));
      await assert.rejects(store.list('agents'));
      await assert.rejects(store.commit([put('a', 1)]));
    });
  });
}
