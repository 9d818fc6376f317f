import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { exportJwk, jwkThumbprint, privateKeyFromPem } from '../../src/crypto/keys.ts';
import { signObject } from '../../src/crypto/signed-object.ts';
import type { StateHead, StateObject } from '../../src/domain/mesh-state.ts';
import { contentDigest, objectDigest } from '../../src/domain/state-head.ts';
import {
  parseStateHead,
  parseStateObject,
  stateHeadToJson,
  stateObjectToJson,
} from '../../src/domain/state-objects.ts';
import type { JsonValue } from '../../src/domain/canonical/strict-json.ts';
import type { TestAgent } from './test-agent.ts';
import type { AuthorityKeys } from './test-authority.ts';

export interface KeptState {
  readonly head: StateHead;
  readonly objects: readonly StateObject[];
}

/** Where a sidecar keeps its last good state. */
export function stateFile(agent: TestAgent): string {
  return join(agent.folder, 'state/mesh-state.json');
}

export async function readState(agent: TestAgent): Promise<KeptState> {
  const { head, objects } = JSON.parse(await readFile(stateFile(agent), 'utf8')) as { head: string; objects: string[] };
  return { head: parseStateHead(payload(head)), objects: objects.map((jws) => parseStateObject(payload(jws))) };
}

/**
 * Replaces the state that a stopped sidecar will find at its next start, signed with the authority's own key. With a
 * higher revision than the authority has, the sidecar keeps to it, and refuses the authority's as rolled back.
 */
export async function forgeState(
  agent: TestAgent,
  keys: AuthorityKeys,
  change: (state: KeptState) => KeptState,
): Promise<void> {
  const { head, objects } = change(await readState(agent));
  const key = privateKeyFromPem(keys.state_key);
  const signer = { key, keyId: jwkThumbprint(exportJwk(key)) };
  const listed = objects.map((object) => objectDigest(stateObjectToJson(object))).toSorted();
  const complete = { ...head, objects: listed, content: contentDigest(listed) };
  const signed = {
    head: signObject({ type: 'ait-head+jwt', payload: stateHeadToJson(complete), ...signer }),
    objects: objects.map((object) =>
      signObject({ type: 'ait-object+jwt', payload: stateObjectToJson(object), ...signer }),
    ),
  };
  await writeFile(stateFile(agent), JSON.stringify(signed));
}

function payload(jws: string): JsonValue {
  return JSON.parse(Buffer.from(jws.split('.')[1] ?? '', 'base64url').toString()) as JsonValue;
}
