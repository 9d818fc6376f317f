import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mountVolumes, type Container, type Manifest, type PodTemplate } from './kubernetes-manifests.ts';

type Data = Readonly<Record<string, string>>;

/** A key set as `kubectl get --raw /openid/v1/jwks` prints it; the point is that of RFC 7515, appendix A.3. */
const KEY_SET = JSON.stringify({
  keys: [
    {
      kty: 'EC',
      crv: 'P-256',
      kid: 'k1',
      alg: 'ES256',
      use: 'sig',
      x: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',
      y: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0',
    },
  ],
});

/**
 * Every ConfigMap by name: those of the manifests, and the two that an operator makes by hand, as
 * docs/platform-engineer.md says.
 */
export function allConfigMaps(
  manifests: readonly Manifest[],
  byHand: Readonly<Record<string, Data>> = {},
): Map<string, Data> {
  return new Map<string, Data>([
    ['ait-authority-root', { sha256: 'ab'.repeat(32) }],
    ['ait-cluster-keys', { 'jwks.json': KEY_SET }],
    ...Object.entries(byHand),
    ...manifests
      .filter(({ kind }) => kind === 'ConfigMap')
      .map(({ metadata, data = {} }) => [metadata.name ?? '', data] as const),
  ]);
}

export interface PlacedContainer {
  readonly folder: string;
  /** Of its configuration, which names paths below the folder. */
  readonly path: string;
  readonly env: Record<string, string>;
  /** Turns a path in the container into one below the folder. */
  readonly inFolder: (text: string) => string;
}

/** A container's files below a temporary folder of its own, its configuration rewritten to match, and its environment. */
export function placeContainer({
  pod,
  container,
  configMaps,
}: {
  pod: PodTemplate;
  container: Container;
  configMaps: ReadonlyMap<string, Data>;
}): PlacedContainer {
  const folder = mkdtempSync(join(tmpdir(), 'ait-pod-'));
  const inFolder = mountVolumes({ pod, container, folder }, configMaps);
  const [, flag, config] = container.args;
  if (flag !== '--config' || config === undefined) throw new Error(`${container.name} names no configuration`);
  const path = inFolder(config);
  writeFileSync(path, inFolder(readFileSync(path, 'utf8')));
  const env: Record<string, string> = { POD_IP: '10.1.2.3' };
  for (const { name, value, valueFrom } of container.env ?? []) {
    const reference = valueFrom?.configMapKeyRef;
    const text = reference === undefined ? value : configMaps.get(reference.name)?.[reference.key];
    if (text !== undefined) env[name] = text.replaceAll(/\$\((\w+)\)/g, (_, other: string) => env[other] ?? '');
  }
  return { folder, path, inFolder, env };
}
