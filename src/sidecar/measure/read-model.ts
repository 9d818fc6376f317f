import { dirname, resolve } from 'node:path';
import type { Digest } from '../../domain/canonical/digest.ts';
import { objectAt, stringAt } from '../../domain/json-shape.ts';
import type { ModelDigest } from '../../domain/measurement.ts';
import { assurancePass, weakest, type DimensionReader } from './dimension-reader.ts';
import type { HashCache } from './hash-cache.ts';
import { readJsonFile, readShape } from './json-manifest.ts';
import type { MeasureConfig, ModelSource } from './measure-config.ts';
import { PRINTABLE, readSha256 } from './measure-schema.ts';

interface StatedModel {
  readonly provider: string;
  readonly id: string;
  readonly version: string;
  /** A digest, taken as stated, or an absolute path, hashed. */
  readonly weights?: string;
}

/**
 * The model: identity from a JSON file or from the configuration, and the digest of the weights where there are any.
 * What the configuration says, and a digest that is merely stated, is `declared`.
 */
export function createModelReader(
  source: ModelSource,
  { config, hashes }: { config: MeasureConfig; hashes: HashCache },
): DimensionReader<'model'> {
  const file = 'file' in source ? source.file : undefined;
  let paths: readonly string[] = file === undefined ? [] : [file];
  return {
    dimension: 'model',
    paths: () => paths,
    async read() {
      const { weights, ...identity } = 'file' in source ? readModelFile(source.file, config.maxManifestBytes) : source;
      const stated = weights === undefined ? undefined : readSha256(weights);
      const weightsFile = stated === undefined ? weights : undefined;
      paths = [file, weightsFile].filter((path) => path !== undefined);
      const hash: Digest | undefined = weightsFile === undefined ? stated : await hashes.digestOf(weightsFile);
      hashes.forgetUnseen();
      const value: ModelDigest = { ...identity, ...(hash === undefined ? {} : { hash }) };
      const hearsay = file === undefined || stated !== undefined;
      const assurance = hearsay ? 'declared' : weakest(paths.map(assurancePass(config, 'model')));
      return { value: { ...value, assurance } };
    },
  };
}

function readModelFile(path: string, maxBytes: number): StatedModel {
  const json = readJsonFile(path, maxBytes);
  return readShape(path, () => {
    const object = objectAt(json, 'model', { required: ['provider', 'id', 'version'], optional: ['weights'] });
    const text = (name: string): string => stringAt(object[name], name, PRINTABLE, '1 to 256 printable characters');
    const identity = { provider: text('provider'), id: text('id'), version: text('version') };
    if (object['weights'] === undefined) return identity;
    const weights = stringAt(object['weights'], 'weights', /^[^\0]{1,4096}$/, 'a path or a SHA-256');
    return { ...identity, weights: readSha256(weights) ?? resolve(dirname(path), weights) };
  });
}
