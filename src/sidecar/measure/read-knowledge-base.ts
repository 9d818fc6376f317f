import { realpathSync } from 'node:fs';
import { dirname, join, sep } from 'node:path';
import { AIT_SET_1, digestSet, DigestError, type Digest, type NamedDigest } from '../../domain/canonical/digest.ts';
import type { JsonValue } from '../../domain/canonical/strict-json.ts';
import { arrayAt, objectAt, ShapeError, stringAt } from '../../domain/json-shape.ts';
import { assurancePass, weakest, type DimensionReader } from './dimension-reader.ts';
import type { HashCache } from './hash-cache.ts';
import { readJsonFile, readShape } from './json-manifest.ts';
import type { MeasureConfig } from './measure-config.ts';
import { PRINTABLE } from './measure-schema.ts';
import { fileProblem, MeasurementProblem } from './measurement-problem.ts';

const MAX_ENTRIES = 100_000;
/** Every watched folder is followed anew after each event; what lies in further ones is found by the timer. */
const MAX_WATCHED_FOLDERS = 64;
/** How many entries are looked at before other work gets its turn. */
const SLICE = 64;
const MAX_NOTES = 20;

interface Entry {
  readonly name: string;
  readonly stated: Digest;
  /** Below the root, in the manifest's own spelling; without one the digest is only declared. */
  readonly path?: string;
}

/**
 * A version and a set of entries (`ait-set-1`). Entries with a path are hashed again and count with what was *observed*:
 * one that differs from the manifest is drift, named in a note, not a failure.
 */
export function createKnowledgeBaseReader(
  { manifest, root }: { manifest: string; root: string },
  { config, hashes }: { config: MeasureConfig; hashes: HashCache },
): DimensionReader<'knowledge_base'> {
  let paths: readonly string[] = [manifest];
  return {
    dimension: 'knowledge_base',
    paths: () => paths,
    async read() {
      const json = readJsonFile(manifest, config.maxManifestBytes);
      const { version, entries } = readShape(manifest, () => readManifest(json));
      if (entries.length === 0) throw new MeasurementProblem('empty', `${manifest}: no entries`);
      paths = [manifest, ...foldersOf(entries, root)];

      const assuranceOf = assurancePass(config, 'knowledge_base');
      const assurances = [assuranceOf(manifest)];
      const realRoot = realPath(root);
      const observed: NamedDigest[] = [];
      const notes: string[] = [];
      for (const [index, { name, stated, path }] of entries.entries()) {
        if (index % SLICE === SLICE - 1) await new Promise(setImmediate);
        if (path === undefined) {
          observed.push({ name, sha256: stated });
          assurances.push('declared');
          continue;
        }
        const file = join(root, path);
        const sha256 = await hashes.digestOf(insideRoot(file, { realRoot, name }));
        observed.push({ name, sha256 });
        assurances.push(assuranceOf(file));
        if (sha256 !== stated)
          notes.push(`entry ${JSON.stringify(name)}: the manifest says ${stated}, the file is ${sha256}`);
      }
      hashes.forgetUnseen();
      return {
        value: {
          version,
          hash: setDigest(manifest, observed),
          canonicalization: AIT_SET_1,
          assurance: weakest(assurances),
        },
        notes:
          notes.length > MAX_NOTES ? [...notes.slice(0, MAX_NOTES), `and ${notes.length - MAX_NOTES} more`] : notes,
      };
    },
  };
}

function readManifest(json: JsonValue): { version: string; entries: Entry[] } {
  const object = objectAt(json, 'manifest', { required: ['version', 'entries'] });
  const version = stringAt(object['version'], 'version', PRINTABLE, '1 to 256 printable characters');
  const list = arrayAt(object['entries'], 'entries', { min: 0, max: MAX_ENTRIES });
  return { version, entries: list.map((item, index) => readEntry(item, `entries[${index}]`)) };
}

function readEntry(item: JsonValue, path: string): Entry {
  const object = objectAt(item, path, { required: ['name', 'sha256'], optional: ['path'] });
  const name = stringAt(object['name'], `${path}.name`, PRINTABLE, '1 to 256 printable characters');
  const hex = stringAt(object['sha256'], `${path}.sha256`, /^[0-9a-f]{64}$/, '64 lowercase hexadecimal digits');
  if (object['path'] === undefined) return { name, stated: `sha256:${hex}` };
  const file = stringAt(object['path'], `${path}.path`, /^[^\0]{1,1024}$/, 'a path');
  if (file.startsWith('/') || file.split('/').includes('..')) {
    throw new ShapeError(`${path}.path`, 'it must stay below the root: neither absolute nor with ".."');
  }
  return { name, stated: `sha256:${hex}`, path: file };
}

/** A symbolic link may lead anywhere below the root (Kubernetes mounts are made of them), but not out of it. */
function insideRoot(file: string, { realRoot, name }: { realRoot: string; name: string }): string {
  const real = realPath(file);
  if (real.startsWith(realRoot === sep ? sep : realRoot + sep)) return real;
  throw new MeasurementProblem('malformed', `${file}: entry ${JSON.stringify(name)} leads out of the root`);
}

function realPath(path: string): string {
  try {
    return realpathSync.native(path);
  } catch (error) {
    throw fileProblem(path, error);
  }
}

function foldersOf(entries: readonly Entry[], root: string): string[] {
  const folders = new Set<string>();
  for (const { path } of entries) {
    if (path !== undefined) folders.add(dirname(join(root, path)));
    if (folders.size === MAX_WATCHED_FOLDERS) break;
  }
  return [...folders];
}

function setDigest(manifest: string, entries: readonly NamedDigest[]): Digest {
  try {
    return digestSet(entries);
  } catch (cause) {
    if (!(cause instanceof DigestError)) throw cause;
    throw new MeasurementProblem('malformed', `${manifest}: ${cause.message}`, { cause });
  }
}
