import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { readX509 } from '../crypto/certificate-fields.ts';
import { rootPin, type RootPin } from '../crypto/root-pin.ts';
import { parseTrustBundle, trustBundleToJson, type TrustBundle } from '../crypto/trust-bundle.ts';
import type { TrustDomain } from '../domain/agent-id.ts';
import { writeFileAtomic } from '../platform/atomic-file.ts';
import type { Logger } from '../platform/logger.ts';

const FILE = 'trust-bundle.json';
const WRITABLE_BY_OTHERS = 0o022;

/**
 * The last trust bundle on disk: a join after a restart may meet a root that is newer than the join credential. Trusted
 * only where nobody else can write to it. Fails closed: nothing readable, no roots.
 */
export class KeptBundle {
  readonly #directory: string;
  readonly #path: string;
  readonly #logger: Logger;

  constructor(stateDir: string, logger: Logger) {
    this.#directory = stateDir;
    this.#path = join(stateDir, FILE);
    this.#logger = logger;
  }

  /** Never rejects: without it the service goes on, and a restart knows the credential's root only. */
  async keep(bundle: TrustBundle): Promise<void> {
    try {
      await writeFileAtomic(this.#path, trustBundleToJson(bundle));
    } catch (error) {
      this.#logger.warn('trust_bundle_not_kept', { path: this.#path, error });
    }
  }

  async rootPins(trustDomain: TrustDomain): Promise<readonly RootPin[]> {
    try {
      for (const place of [this.#directory, this.#path]) {
        const { mode, uid } = await stat(place);
        if ((mode & WRITABLE_BY_OTHERS) === 0 && uid === process.getuid?.()) continue;
        const action = `make ${place} writable to the service's user alone; until then only the join credential's root is trusted`;
        this.#logger.warn('kept_roots_not_trusted', { path: place, action });
        return [];
      }
      const { roots } = parseTrustBundle(await readFile(this.#path, 'utf8'), trustDomain);
      return roots.map((pem) => rootPin(readX509(pem).raw));
    } catch (error) {
      // The first start has none.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
        this.#logger.warn('kept_roots_unreadable', { path: this.#path, error });
      }
      return [];
    }
  }
}
