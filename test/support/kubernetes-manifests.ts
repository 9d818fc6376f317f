import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments } from 'yaml';

export const MANIFESTS = fileURLToPath(new URL('../../deploy/kubernetes/', import.meta.url));

/** As far as tests look into them; everything else is the schema's business. */
export interface Manifest {
  readonly file: string;
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name?: string; readonly namespace?: string; readonly labels?: Labels };
  readonly data?: Readonly<Record<string, string>>;
  readonly spec?: Readonly<Record<string, unknown>>;
}

export type Labels = Readonly<Record<string, string>>;

export interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string | number };
}

export interface Container {
  readonly name: string;
  readonly image: string;
  readonly args: readonly string[];
  readonly restartPolicy?: string;
  readonly env?: readonly {
    readonly name: string;
    readonly value?: string;
    readonly valueFrom?: { readonly configMapKeyRef?: { readonly name: string; readonly key: string } };
  }[];
  readonly ports?: readonly { readonly name: string; readonly containerPort: number }[];
  readonly startupProbe?: Probe;
  readonly readinessProbe?: Probe;
  readonly livenessProbe?: Probe;
  readonly securityContext: Readonly<Record<string, unknown>>;
  readonly resources: { readonly requests: Labels; readonly limits: Labels };
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string; readonly readOnly?: boolean }[];
}

interface Items {
  readonly name: string;
  readonly items?: readonly { readonly key: string; readonly path: string }[];
}

export interface Volume {
  readonly name: string;
  readonly emptyDir?: object;
  readonly configMap?: Items;
  readonly secret?: { readonly secretName: string };
  readonly projected?: {
    readonly sources: readonly {
      readonly configMap?: Items;
      readonly serviceAccountToken?: { readonly path: string };
    }[];
  };
}

export interface PodTemplate {
  readonly of: Manifest;
  readonly labels: Labels;
  readonly annotations: Labels | undefined;
  readonly spec: Readonly<Record<string, unknown>> & {
    readonly initContainers?: readonly Container[];
    readonly containers: readonly Container[];
    readonly volumes?: readonly Volume[];
    readonly serviceAccountName: string;
  };
}

/** Every object of every file but the kustomization. @throws Error for YAML that is none */
export function readManifests(): Manifest[] {
  const files = readdirSync(MANIFESTS).filter((name) => name.endsWith('.yaml') && name !== 'kustomization.yaml');
  return files.flatMap((file) =>
    parseAllDocuments(readFileSync(join(MANIFESTS, file), 'utf8')).map((document) => {
      if (document.errors.length > 0) throw new Error(`${file}: ${document.errors.join('\n')}`);
      return { file, ...(document.toJS() as Omit<Manifest, 'file'>) };
    }),
  );
}

/** The pods that the objects ask for. */
export function podTemplates(manifests: readonly Manifest[]): PodTemplate[] {
  return manifests.flatMap((of) => {
    const template = of.spec?.['template'] as
      { metadata: { labels: Labels; annotations?: Labels }; spec: PodTemplate['spec'] } | undefined;
    if (template === undefined) return [];
    const { labels, annotations } = template.metadata;
    return [{ of, labels, annotations, spec: template.spec }];
  });
}

export function containersOf({ spec }: PodTemplate): Container[] {
  return [...(spec.initContainers ?? []), ...spec.containers];
}

/** Whether a selector's labels are all there. */
export const matches = (labels: Labels, selector: Labels): boolean =>
  Object.entries(selector).every(([name, value]) => labels[name] === value);

/** For messages: the file, and what of it. */
export const nameOf = ({ of }: PodTemplate, container?: Container): string =>
  `${of.file}: ${of.kind}${container === undefined ? '' : ` ${container.name}`}`;

const require = createRequire(import.meta.url);

/**
 * What Kubernetes' own schema says of an object, and members that it does not know: those the API server drops without a
 * word, and with them what somebody meant.
 */
export function problemsOf({ file: _file, ...manifest }: Manifest): string[] {
  const read = new Map<object, Set<string>>();
  const module = `kubernetes-models/${manifest.apiVersion}/${manifest.kind}`;
  const models = require(module) as Readonly<Record<string, { readonly prototype: { validate(): void } }>>;
  const Model = models[manifest.kind];
  if (Model === undefined) return [`${module} has no ${manifest.kind}`];
  try {
    // Not on an instance: its constructor would copy the object, and read every member of it.
    Model.prototype.validate.call(watch(manifest, read));
  } catch (error) {
    return [(error as Error).message];
  }
  return unread(manifest, read, manifest.kind);
}

/** The validator reads every member that the schema has: what it has never read, the schema does not have. */
function watch(value: unknown, read: Map<object, Set<string>>): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const seen = new Set<string>();
  read.set(value, seen);
  const proxies = new Map<string, unknown>();
  return new Proxy(value, {
    get(target, key) {
      const member: unknown = Reflect.get(target, key);
      if (typeof key === 'symbol' || !Object.hasOwn(target, key)) return member;
      seen.add(key);
      if (!proxies.has(key)) proxies.set(key, watch(member, read));
      return proxies.get(key);
    },
  });
}

function unread(value: unknown, read: ReadonlyMap<object, ReadonlySet<string>>, path: string): string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, member]) => {
    if (!Array.isArray(value) && read.get(value)?.has(key) !== true) return [`${path}.${key} is not in the schema`];
    return unread(member, read, `${path}.${key}`);
  });
}

/**
 * Writes what a container sees of its volumes below a folder, as the kubelet would mount it, ConfigMaps that an operator
 * makes by hand among it.
 *
 * @returns what turns a path in the container into one below the folder, in any text
 */
export function mountVolumes(
  { pod, container, folder }: { pod: PodTemplate; container: Container; folder: string },
  configMaps: ReadonlyMap<string, Readonly<Record<string, string>>>,
): (text: string) => string {
  for (const { name, mountPath } of container.volumeMounts) {
    const at = join(folder, mountPath);
    mkdirSync(at, { recursive: true });
    const volume = pod.spec.volumes?.find((each) => each.name === name);
    const sources = [volume?.configMap, ...(volume?.projected?.sources.map((source) => source.configMap) ?? [])];
    for (const source of sources) {
      if (source !== undefined) writeItems(source, at, configMaps);
    }
  }
  const paths = container.volumeMounts.map(({ mountPath }) => mountPath);
  const anyPath = new RegExp(
    `(?<![\\w.-])(${paths.map((path) => path.replaceAll('/', '\\/')).join('|')})(?=[/"',\\s}]|$)`,
    'gm',
  );
  return (text) => text.replaceAll(anyPath, (path) => join(folder, path));
}

function writeItems(
  { name, items }: Items,
  at: string,
  configMaps: ReadonlyMap<string, Readonly<Record<string, string>>>,
): void {
  const data = configMaps.get(name);
  if (data === undefined) throw new Error(`nobody makes a ConfigMap ${name}`);
  for (const { key, path } of items ?? Object.keys(data).map((each) => ({ key: each, path: each }))) {
    const text = data[key];
    if (text === undefined) throw new Error(`ConfigMap ${name} has no key ${key}`);
    mkdirSync(dirname(join(at, path)), { recursive: true });
    writeFileSync(join(at, path), text);
  }
}
