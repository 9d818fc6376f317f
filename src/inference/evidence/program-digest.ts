import { readFileSync, readdirSync } from 'node:fs';
import { dirname, extname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { digestSet, sha256Digest, type Digest } from '../../domain/canonical/digest.ts';
import { MeshError } from '../../domain/mesh-error.ts';

const BUNDLE = 'ait.mjs';

/**
 * The digest of the files that this very program is made of, as `ait-set-1` over their paths: of the bundle with its
 * chunks, or, where it runs from its sources, of those (without what they import from packages).
 *
 * @throws MeshError `FILE_UNREADABLE`
 */
export function programDigest(ownFile: string = fileURLToPath(import.meta.url)): Digest {
  const folder = extname(ownFile) === '.ts' ? join(dirname(ownFile), '..', '..') : bundleFolder(ownFile);
  const extension = extname(ownFile);
  try {
    const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(
      (file) => extname(file) === extension && !file.startsWith('examples'),
    );
    return digestSet(
      files.map((file) => ({
        name: relative(folder, join(folder, file)),
        sha256: sha256Digest(readFileSync(join(folder, file))),
      })),
    );
  } catch (cause) {
    throw new MeshError('FILE_UNREADABLE', `cannot measure the program in ${folder}`, { cause });
  }
}

function bundleFolder(ownFile: string): string {
  for (let folder = dirname(ownFile); folder !== dirname(folder); folder = dirname(folder)) {
    if (readdirSync(folder).includes(BUNDLE)) return folder;
  }
  throw new MeshError('FILE_UNREADABLE', `cannot measure the program: there is no ${BUNDLE} above ${ownFile}`);
}
