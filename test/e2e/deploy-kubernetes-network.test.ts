/** Who reaches whom under the NetworkPolicies of deploy/kubernetes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  containersOf,
  matches,
  nameOf,
  podTemplates,
  readManifests,
  type Labels,
  type PodTemplate,
} from '../support/kubernetes-manifests.ts';

const manifests = readManifests();
const pods = podTemplates(manifests);
const agentPods = pods.filter(({ of }) => of.metadata.namespace === 'agents');
const ofKind = (kind: string) => manifests.filter((each) => each.kind === kind);

interface Policy {
  readonly podSelector: { readonly matchLabels?: Labels };
  readonly policyTypes: readonly string[];
  readonly ingress?: readonly Rule[];
  readonly egress?: readonly Rule[];
}
interface Rule {
  readonly from?: readonly Target[];
  readonly to?: readonly Target[];
  readonly ports: readonly { readonly port: number; readonly protocol: string }[];
}
interface Target {
  readonly podSelector?: { readonly matchLabels: Labels };
  readonly namespaceSelector?: { readonly matchLabels: Labels };
}

/** `namespace/name:port` of every pod of ours that rules lead to, and the labels of those that are not ours. */
function reach(rules: readonly Rule[], from: string): Set<string> {
  const namespaceLabels = (name: string) => ({
    'kubernetes.io/metadata.name': name,
    ...ofKind('Namespace').find(({ metadata }) => metadata.name === name)?.metadata.labels,
  });
  const all = rules.flatMap(({ from: sources, to, ports }) => {
    const targets = to ?? sources ?? [];
    assert.ok(targets.length > 0 && ports.length > 0, 'a rule without targets or ports lets everybody in');
    return targets.flatMap(({ podSelector, namespaceSelector }) => {
      assert.ok(podSelector !== undefined, 'a whole namespace is nobody in particular');
      const ours = pods.filter(({ of, labels }) => {
        const namespace = of.metadata.namespace ?? '';
        const inside =
          namespaceSelector === undefined
            ? namespace === from
            : matches(namespaceLabels(namespace), namespaceSelector.matchLabels);
        return inside && matches(labels, podSelector.matchLabels);
      });
      const names =
        ours.length > 0
          ? ours.map(({ of, labels }) => `${of.metadata.namespace}/${labels['app.kubernetes.io/name']}`)
          : [Object.values({ ...namespaceSelector?.matchLabels, ...podSelector.matchLabels }).join('/')];
      return names.flatMap((name) => ports.map(({ port }) => `${name}:${port}`));
    });
  });
  return new Set(all);
}

test('everything is denied by default; an agent reaches its peers, the authority, inference and DNS, and nothing else', () => {
  const policies = ofKind('NetworkPolicy').map(({ metadata, spec }) => ({
    name: metadata.name,
    namespace: metadata.namespace ?? '',
    policy: spec as unknown as Policy,
  }));
  for (const { metadata } of ofKind('Namespace')) {
    const deny = policies.find(({ name, namespace }) => name === 'default-deny' && namespace === metadata.name);
    assert.deepEqual(deny?.policy, { podSelector: {}, policyTypes: ['Ingress', 'Egress'] }, metadata.name);
  }
  const applying = (pod: PodTemplate) =>
    policies.filter(
      ({ namespace, policy }) =>
        namespace === pod.of.metadata.namespace && matches(pod.labels, policy.podSelector.matchLabels ?? {}),
    );
  const sidecars = ['agents/planner:17443', 'agents/planner-once:17443', 'agents/researcher:17443'];
  const dns = 'kube-system/kube-dns:53';
  for (const pod of agentPods) {
    const egress = reach(
      applying(pod).flatMap(({ policy }) => policy.egress ?? []),
      'agents',
    );
    const wanted = [...sidecars, 'ait-system/ait-authority:17100', 'ait-system/ait-inference:17200', dns];
    assert.deepEqual(egress, new Set(wanted), nameOf(pod));
  }
  for (const pod of pods) {
    const served = containersOf(pod).flatMap((container) =>
      (container.ports ?? []).map(({ containerPort }) => containerPort),
    );
    const open = applying(pod).flatMap(({ policy }) => (policy.ingress ?? []).flatMap((rule) => rule.ports));
    assert.deepEqual(
      new Set(open.map(({ port }) => port)),
      new Set(served),
      `${nameOf(pod)}: what is open is what is served`,
    );
  }
});
