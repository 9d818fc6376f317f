import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { readX509 } from '../../crypto/certificate-fields.ts';
import { rootPin, type RootPin } from '../../crypto/root-pin.ts';
import { parseTrustBundle } from '../../crypto/trust-bundle.ts';
import type { TrustDomain } from '../../domain/agent-id.ts';
import { canonicalizeJson } from '../../domain/canonical/jcs.ts';
import { parseStrictJson, type JsonValue } from '../../domain/canonical/strict-json.ts';
import { arrayAt, objectAt, stringAt } from '../../domain/json-shape.ts';
import { parseStateObject } from '../../domain/state-objects.ts';
import type { Logger } from '../../platform/logger.ts';
import { STATE_FILE } from './state-receiver.ts';

const WRITABLE_BY_OTHERS = 0o022;
const JWS = /^[A-Za-z0-9_-]+\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+$/;

/**
 * The roots in the last good state on disk, for a join with a credential that is older than the mesh's present root. No
 * signature is checked, since nothing is known yet by which it could be: the directory is trusted like the credential,
 * and so only where nobody else can write to it. Fails closed: nothing readable, no roots.
 */
export async function readKeptRoots(
  stateDir: string,
  trustDomain: TrustDomain,
  logger: Logger,
): Promise<readonly RootPin[]> {
  const path = join(stateDir, STATE_FILE);
  try {
    for (const place of [stateDir, path]) {
      const { mode, uid } = await stat(place);
      if ((mode & WRITABLE_BY_OTHERS) === 0 && uid === process.getuid?.()) continue;
      const action = `make ${place} writable to the sidecar's user alone; until then only the join credential's root is trusted`;
      logger.warn('kept_roots_not_trusted', { path: place, action });
      return [];
    }
    const kept = objectAt(parseStrictJson(await readFile(path, 'utf8')), 'state', {
      required: ['head', 'objects'],
    });
    const objects = arrayAt(kept['objects'], 'objects', { min: 1, max: 100_000 }).map(payloadOf).map(parseStateObject);
    return objects.flatMap((object) => {
      if (object.kind !== 'bundle' || object.value.trustDomain !== trustDomain) return [];
      const { roots } = parseTrustBundle(canonicalizeJson(object.value.document), trustDomain);
      return roots.map((pem) => rootPin(readX509(pem).raw));
    });
  } catch (error) {
    // The first start has none. Whatever is wrong with one that is there is told again when it is restored.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') logger.warn('kept_roots_unreadable', { path, error });
    return [];
  }
}

function payloadOf(jws: JsonValue): JsonValue {
  const [, payload = ''] = JWS.exec(stringAt(jws, 'object', JWS, 'a compact JWS')) ?? [];
  return parseStrictJson(Buffer.from(payload, 'base64url').toString());
}
