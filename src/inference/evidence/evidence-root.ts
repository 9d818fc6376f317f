import { link, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createSimulatedRoot, readSimulatedRoot, type SimulatedRoot } from '../../crypto/simulated-hardware.ts';
import { MeshError } from '../../domain/mesh-error.ts';
import type { Clock } from '../../platform/clock.ts';
import type { RandomSource } from '../../platform/random.ts';

const FILE = 'evidence-root.pem';
const READABLE_BY_OTHERS = 0o077;
const HOUR_MS = 3_600_000;
/** Ten years: what is approved by its digest should not change under anybody's feet. */
const LIFE_MS = 3652 * 24 * HOUR_MS;

/**
 * The root of the simulated hardware, kept with its key in the state directory (0600); made when there is none. Two
 * processes that make one at the same time end up with the same.
 *
 * @throws MeshError `FILE_UNREADABLE` also where others may read it; `CERTIFICATE_INVALID`, `KEY_INVALID`
 */
export async function openEvidenceRoot(
  stateDir: string,
  { clock, random }: { readonly clock: Clock; readonly random: RandomSource },
): Promise<SimulatedRoot> {
  const path = join(stateDir, FILE);
  const kept = await readKept(path);
  if (kept !== undefined) return readSimulatedRoot(kept);
  const now = clock.now();
  const fresh = createSimulatedRoot({ notBefore: now - HOUR_MS, notAfter: now + LIFE_MS });
  const temporary = join(stateDir, `.${FILE}.${random.bytes(6).toString('hex')}.tmp`);
  try {
    await writeFile(temporary, fresh, { flag: 'wx', mode: 0o600 });
    await link(temporary, path);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') {
      throw new MeshError('FILE_UNREADABLE', `cannot keep the evidence root in ${path}`, { cause });
    }
  } finally {
    await rm(temporary, { force: true });
  }
  return readSimulatedRoot((await readKept(path)) ?? fresh);
}

async function readKept(path: string): Promise<string | undefined> {
  try {
    const { mode } = await stat(path);
    if ((mode & READABLE_BY_OTHERS) !== 0) {
      throw new MeshError('FILE_UNREADABLE', `${path} is open to others`, { hint: `chmod 600 ${path}` });
    }
    return await readFile(path, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    if (cause instanceof MeshError) throw cause;
    throw new MeshError('FILE_UNREADABLE', `cannot read the evidence root ${path}`, { cause });
  }
}
