/** The manifests under deploy/kubernetes, judged by Kubernetes' schemas and by the processes that they start. */
import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { parse } from 'yaml';
import {
  MANIFESTS,
  containersOf,
  matches,
  nameOf,
  podTemplates,
  problemsOf,
  readManifests,
  type Container,
  type Labels,
  type PodTemplate,
} from '../support/kubernetes-manifests.ts';
import { allConfigMaps, placeContainer } from '../support/placed-container.ts';
import { runAit } from '../support/run-ait.ts';

const manifests = readManifests();
const pods = podTemplates(manifests);
const agentPods = pods.filter(({ of }) => of.metadata.namespace === 'agents');
const ofKind = (kind: string) => manifests.filter((each) => each.kind === kind);
/** `ait` itself, and not an example agent. */
const isAit = ({ image }: Container) => image === 'ait-mesh';

const configMaps = allConfigMaps(manifests);
const placed = (t: TestContext, pod: PodTemplate, container: Container) => {
  const made = placeContainer({ pod, container, configMaps });
  t.after(() => rmSync(made.folder, { recursive: true, force: true }));
  return made;
};

test('every object is what the official schema says, with no member that it does not know', () => {
  assert.ok(manifests.length >= 15 && pods.length >= 4);
  for (const manifest of manifests)
    assert.deepEqual(problemsOf(manifest), [], `${manifest.file}: ${manifest.kind} ${manifest.metadata.name}`);
});

test('the check of members finds a misspelled one, wherever it is', () => {
  const [deployment] = ofKind('Deployment');
  const wrong = JSON.parse(JSON.stringify(deployment).replace('"readOnlyRootFilesystem"', '"readOnlyRootFileSystem"'));
  assert.match(problemsOf(wrong).join(), /Containers\.0\.securityContext\.readOnlyRootFileSystem is not in the schema/);
});

test('the kustomization names every file but the job, and every image', () => {
  const { resources, images } = parse(readFileSync(join(MANIFESTS, 'kustomization.yaml'), 'utf8')) as {
    resources: string[];
    images: { name: string }[];
  };
  const files = new Set(manifests.map(({ file }) => file));
  files.delete('planner-job.yaml');
  assert.deepEqual(new Set(resources), files);
  const used = pods.flatMap((pod) => containersOf(pod).map(({ image }) => image));
  assert.deepEqual(new Set(used), new Set(images.map(({ name }) => name)));
});

test('the processes accept the configuration and the policy that they would get', async (t) => {
  for (const pod of pods) {
    for (const container of containersOf(pod).filter(isAit)) {
      const { path, env } = placed(t, pod, container);
      const verb = container.args[0] ?? '';
      const { code, output } = await runAit([verb, '--config', path, '--check-config'], { env, deadlineMs: 60_000 });
      assert.equal(code, 0, `${nameOf(pod, container)}\n${output}`);
    }
  }
});

test('without the root of the authority a sidecar would not start', async (t) => {
  const pod = pods.find(({ of }) => of.file === 'planner.yaml')!;
  const { path, env } = placed(t, pod, containersOf(pod).find(isAit)!);
  const { AIT_SIDECAR_AUTHORITY__ROOT_SHA256: _, ...rest } = env;
  const rootless = await runAit(['sidecar', '--config', path, '--check-config'], { env: rest });
  assert.equal(rootless.code, 2, rootless.output);
  assert.match(rootless.output, /root_sha256/);
});

test('what is mounted into a pod is what its baseline approves', async (t) => {
  for (const pod of agentPods) {
    const { path, folder } = placed(t, pod, containersOf(pod).find(isAit)!);
    const agent = pod.labels['ait-mesh.dev/agent'] ?? '';
    const baseline = join(folder, 'baseline.yaml');
    writeFileSync(baseline, configMaps.get('ait-baselines')?.[`${agent}-baseline.yaml`] ?? '');
    const { code, output } = await runAit(['baseline', 'verify', baseline, '--config', path], { deadlineMs: 60_000 });
    assert.equal(code, 0, `${nameOf(pod)}\n${output}`);
  }
});

const serviceAddresses = ofKind('Service').map(({ metadata, spec = {} }) => {
  const [port] = spec['ports'] as { port: number }[];
  return `${metadata.name}.${metadata.namespace}.svc:${port?.port}`;
});

/** The part after the last colon. */
const portOf = (address: string) => Number(address.slice(address.lastIndexOf(':') + 1));

test('every port and probe is one that the process serves', (t) => {
  for (const pod of pods) {
    for (const container of containersOf(pod).filter(isAit)) {
      const where = nameOf(pod, container);
      const config = parse(readFileSync(placed(t, pod, container).path, 'utf8')) as Record<string, never>;
      const section = (name: string) => (config[name] ?? {}) as { listen?: string };
      const [verb] = container.args;
      const listens: Record<string, string> =
        verb === 'sidecar'
          ? { mesh: section('inbound').listen ?? ':17443', metrics: section('metrics').listen ?? ':17090' }
          : verb === 'authority'
            ? { grpc: config['listen'] ?? '', metrics: config['metrics_listen'] ?? '' }
            : { https: config['listen'] ?? '', metrics: section('metrics').listen ?? ':17290' };
      assert.deepEqual(
        Object.fromEntries((container.ports ?? []).map(({ name, containerPort }) => [name, containerPort])),
        Object.fromEntries(Object.entries(listens).map(([name, address]) => [name, portOf(address)])),
        where,
      );
      const { startupProbe, readinessProbe, livenessProbe } = container;
      const probes = [startupProbe, readinessProbe, livenessProbe].map((probe) => {
        assert.equal(probe?.httpGet.port, 'metrics', where);
        return probe.httpGet.path;
      });
      assert.deepEqual(probes, [verb === 'sidecar' ? '/readyz/mesh' : '/readyz', '/readyz', '/livez'], where);
    }
  }
});

test('no process is root, none can write its image, and agent and sidecar are two users', () => {
  for (const pod of pods) {
    const context = pod.spec['securityContext'] as Record<string, unknown>;
    assert.equal(context['runAsNonRoot'], true, nameOf(pod));
    assert.deepEqual(context['seccompProfile'], { type: 'RuntimeDefault' }, nameOf(pod));
    assert.equal(pod.spec['automountServiceAccountToken'], false, nameOf(pod));
    assert.equal(pod.spec['enableServiceLinks'], false, nameOf(pod));
    for (const container of containersOf(pod)) {
      const { allowPrivilegeEscalation, readOnlyRootFilesystem, capabilities } = container.securityContext;
      const hardened = { allowPrivilegeEscalation, readOnlyRootFilesystem, capabilities };
      const wanted = { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } };
      assert.deepEqual(hardened, wanted, nameOf(pod, container));
      assert.ok(container.resources.requests['memory'] && container.resources.limits['memory'], nameOf(pod, container));
      assert.equal(container.resources.limits['cpu'], undefined, 'a throttled process enforces late');
    }
  }
  for (const namespace of ofKind('Namespace'))
    assert.equal(namespace.metadata.labels?.['pod-security.kubernetes.io/enforce'], 'restricted');
});

test('the agent shares the sockets and the bundle with its sidecar, and can reach nothing that is its alone', (t) => {
  assert.ok(agentPods.length >= 3);
  for (const pod of agentPods) {
    const where = nameOf(pod);
    const sidecar = containersOf(pod).find(isAit)!;
    const agent = containersOf(pod).find((each) => !isAit(each))!;
    assert.equal(sidecar.restartPolicy, 'Always', `${where}: native`);
    assert.ok(pod.spec.initContainers?.includes(sidecar), where);
    assert.notEqual(agent.securityContext['runAsUser'], sidecar.securityContext['runAsUser'], where);
    assert.equal(pod.spec['shareProcessNamespace'], false, where);
    assert.deepEqual(agent.volumeMounts.map(({ name }) => name).toSorted(), ['bundle', 'sockets'], where);
    for (const { volumeMounts } of [sidecar, agent])
      assert.equal(volumeMounts.find(({ name }) => name === 'bundle')?.readOnly, true, where);
    const {
      measure,
      peers = [],
      inference,
    } = parse(readFileSync(placed(t, pod, sidecar).path, 'utf8')) as {
      measure: { agent_uid: number; agent_gids: number[] };
      peers?: { listen: string }[];
      inference?: { listen: string; service: { address: string } };
    };
    assert.equal(measure.agent_uid, agent.securityContext['runAsUser'], where);
    const { fsGroup } = pod.spec['securityContext'] as { fsGroup: number };
    assert.deepEqual(measure.agent_gids, [agent.securityContext['runAsGroup'], fsGroup], where);
    assert.equal(sidecar.securityContext['runAsGroup'], fsGroup, `${where}: sockets belong to the group both are in`);
    if (inference !== undefined) {
      assert.ok(
        agent.env?.some(({ value }) => value === `http://${inference.listen}/v1`),
        `${where}: its model`,
      );
      assert.ok(serviceAddresses.includes(inference.service.address), `${where}: ${inference.service.address}`);
    }
    const sockets = agent.volumeMounts.find(({ name }) => name === 'sockets')?.mountPath ?? '';
    for (const { listen } of peers) {
      const inAgent = `unix:${sockets}/${listen.slice(listen.lastIndexOf('/') + 1)}`;
      assert.ok(listen.endsWith(inAgent.slice('unix:'.length)), `${where}: ${listen} is in the shared volume`);
      assert.ok(
        agent.env?.some(({ value }) => value === inAgent),
        `${where}: the agent is told ${inAgent}`,
      );
    }
  }
});

test('each agent joins by an account that the authority takes for it, and with the audience that it asks for', () => {
  const authority = parse(configMaps.get('ait-authority')?.['authority.yaml'] ?? '') as {
    trust_domain: string;
    advertise: string;
    kubernetes: { audience: string; accounts: Record<string, string> }[];
  };
  const [cluster] = authority.kubernetes;
  const [service] = serviceAddresses;
  assert.equal(authority.advertise, service);
  for (const pod of agentPods) {
    const agent = pod.labels['ait-mesh.dev/agent'] ?? '';
    const account = `agents/${pod.spec.serviceAccountName}`;
    assert.equal(cluster?.accounts[account], agent, nameOf(pod));
    assert.ok(ofKind('ServiceAccount').some(({ metadata }) => `${metadata.namespace}/${metadata.name}` === account));
    const sources = pod.spec.volumes?.flatMap(({ projected }) => projected?.sources ?? []) ?? [];
    const token = sources.find((each) => each.serviceAccountToken)?.serviceAccountToken as { audience?: string };
    assert.equal(token.audience, cluster?.audience, nameOf(pod));
    const config = pod.spec.volumes?.find(({ name }) => name === 'config')?.configMap?.name ?? '';
    const sidecar = parse(configMaps.get(config)?.['sidecar.yaml'] ?? '') as { authority: Record<string, string> };
    const { address, trust_domain: domain } = sidecar.authority;
    assert.deepEqual(
      { address, domain, agent: sidecar.authority['agent'] },
      { address: service, domain: authority.trust_domain, agent },
    );
  }
});

test('selectors select their own pods, and no two sets of pods are taken for one', () => {
  for (const { file, kind, metadata, spec } of manifests) {
    const selector = spec?.['selector'] as { matchLabels?: Labels } & Labels;
    if (selector === undefined || kind === 'NetworkPolicy') continue;
    const found = pods.filter(
      ({ of, labels }) =>
        of.metadata.namespace === metadata.namespace && matches(labels, selector.matchLabels ?? selector),
    );
    assert.equal(
      found.length,
      1,
      `${file}: ${kind} ${metadata.name} selects ${found.map((pod) => nameOf(pod)).join(', ')}`,
    );
  }
});

test('Prometheus finds each long-lived pod once, under the names that rules and dashboard expect', () => {
  const scrape = readFileSync(join(MANIFESTS, '../prometheus/scrape-kubernetes.yaml'), 'utf8');
  const [job] = (parse(scrape) as { scrape_configs: ScrapeJob[] }).scrape_configs;
  const [discovery] = job!.kubernetes_sd_configs;
  assert.deepEqual(new Set(discovery?.namespaces.names), new Set(pods.map(({ of }) => of.metadata.namespace)));
  const rule = (target: string) => job!.relabel_configs.find(({ target_label: label }) => label === target);
  assert.deepEqual(rule('agent')?.source_labels, ['__meta_kubernetes_pod_label_ait_mesh_dev_agent']);
  assert.equal(rule('job')?.replacement, 'ait-$1');
  for (const pod of pods.filter(({ of }) => of.kind !== 'Job')) {
    assert.equal(pod.annotations?.['ait-mesh.dev/scrape'], 'true', nameOf(pod));
    const scraped = containersOf(pod).filter(({ ports = [] }) => ports.some(({ name }) => name === 'metrics'));
    assert.deepEqual(
      scraped.map(({ name }) => name),
      [scraped[0]?.args[0]],
      `${nameOf(pod)}: the job is called by it`,
    );
    if (pod.of.metadata.namespace === 'agents') assert.ok(pod.labels['ait-mesh.dev/agent'], nameOf(pod));
  }
});

interface ScrapeJob {
  readonly kubernetes_sd_configs: readonly { readonly namespaces: { readonly names: readonly string[] } }[];
  readonly relabel_configs: readonly {
    readonly source_labels: readonly string[];
    readonly target_label?: string;
    readonly replacement?: string;
  }[];
}
