import { digestJson, type Digest } from '../../domain/canonical/digest.ts';
import type { JsonObject } from '../../domain/canonical/strict-json.ts';
import type { InferenceConfig } from '../config.ts';

export interface LaunchFacts {
  readonly config: Pick<InferenceConfig, 'models' | 'tokens_per_second' | 'limits'>;
  /** Version of the package. */
  readonly version: string;
  /** Of the running program's own files. */
  readonly program: Digest;
}

/**
 * What the service is started from: its code, what of its configuration decides how it answers, and its models. Where it
 * listens and keeps its files is no part of it, so that the same service measures the same on two machines.
 */
export function launchManifest({ config, version, program }: LaunchFacts): JsonObject {
  const { models, tokens_per_second, limits } = config;
  return {
    code: { name: 'ait-mesh', version, digest: program },
    config: { tokens_per_second, limits: { ...limits } },
    models: models.map(({ id, version: modelVersion, owned_by }) => ({ id, version: modelVersion, owned_by })),
  };
}

/** The launch measurement: the manifest's digest under `ait-json-1`. */
export function measureLaunch(manifest: JsonObject): Digest {
  return digestJson(manifest);
}
