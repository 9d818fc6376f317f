import { isMeshError, MeshError } from '../domain/mesh-error.ts';
import type { Component } from '../platform/component.ts';
import { FileStore } from '../platform/file-store.ts';
import type { StateStore } from '../platform/store.ts';

/** @throws MeshError `STATE_LOCKED`, `STATE_FILE_CORRUPT`, `FILE_UNREADABLE` */
export async function openStore(directory: string): Promise<StateStore> {
  try {
    return await FileStore.open(directory);
  } catch (cause) {
    if (isMeshError(cause)) throw cause;
    throw new MeshError(
      'FILE_UNREADABLE',
      `the state directory ${directory} cannot be used: ${(cause as Error).message}`,
      {
        cause,
        hint: "make it a directory of the authority's user on a disk with space, or name another one (state_dir)",
      },
    );
  }
}

/** So that the store is closed last. */
export function storeComponent(store: StateStore): Component {
  return { name: 'state store', start: () => Promise.resolve(), stop: () => store.close() };
}
