import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { LoggedProcess } from '../support/child-process.ts';
import { freePort } from '../support/debian-program.ts';
import { containersOf, podTemplates, readManifests } from '../support/kubernetes-manifests.ts';
import { TestIssuer } from '../support/oidc-issuer.ts';
import { allConfigMaps, placeContainer } from '../support/placed-container.ts';
import { AIT_BINARY } from '../support/test-agent.ts';

const examples = fileURLToPath(new URL('../../dist/examples', import.meta.url));

test('the mesh of the manifests runs: both agents join by their accounts, and the planner is answered', async (t) => {
  const issuer = await TestIssuer.start();
  t.after(() => issuer.stop());
  const manifests = readManifests();
  const pods = podTemplates(manifests);
  const processes: LoggedProcess[] = [];
  t.after(() => Promise.all(processes.map((each) => each.kill())));
  const start = (name: string, args: string[], env: Record<string, string>) => {
    const started = new LoggedProcess(name, args, env);
    processes.push(started);
    return started;
  };
  /** As the kubelet would start it; all that differs is where it listens. */
  const place = (file: string, byHand: Record<string, Record<string, string>>) => {
    const pod = pods.find(({ of }) => of.file === file)!;
    const [container] = containersOf(pod);
    const made = placeContainer({ pod, container: container!, configMaps: allConfigMaps(manifests, byHand) });
    t.after(() => rmSync(made.folder, { recursive: true, force: true }));
    const run = (env: Record<string, string>) =>
      start(container!.name, [AIT_BINARY, container!.args[0]!, '--config', made.path], { ...made.env, ...env });
    return { ...made, pod, run };
  };

  const authority = place('authority.yaml', { 'ait-cluster-keys': { 'jwks.json': issuer.jwks } }).run({
    AIT_AUTHORITY_LISTEN: '127.0.0.1:0',
    AIT_AUTHORITY_OPERATORS_LISTEN: '127.0.0.1:0',
    AIT_AUTHORITY_METRICS_LISTEN: '127.0.0.1:0',
  });
  const { listen, root_sha256: sha256 } = (await authority.waitFor('authority_ready')) as unknown as Record<
    string,
    string
  >;
  const config = manifests.find(({ data }) => data?.['authority.yaml'] !== undefined)?.data?.['authority.yaml'] ?? '';
  const [cluster] = (parse(config) as { kubernetes: { issuer: string }[] }).kubernetes;

  const appPort = await freePort();
  const sidecar = async (agent: 'planner' | 'researcher', env: Record<string, string>) => {
    const placed = place(`${agent}.yaml`, { 'ait-authority-root': { sha256: sha256! } });
    const kubernetes = {
      pod: { name: `${agent}-0`, uid: `uid-of-${agent}` },
      serviceaccount: { name: placed.pod.spec.serviceAccountName, uid: `uid-of-account-${agent}` },
    };
    const claims = { iss: cluster!.issuer, sub: `system:serviceaccount:agents:${placed.pod.spec.serviceAccountName}` };
    writeFileSync(placed.inFolder('/run/ait-token/token'), issuer.token({ claims, kubernetes }));
    const inbound = `127.0.0.1:${await freePort()}`;
    const process = placed.run({
      AIT_SIDECAR_AUTHORITY__ADDRESS: listen!,
      AIT_SIDECAR_INBOUND__LISTEN: inbound,
      AIT_SIDECAR_INBOUND__ADVERTISE: inbound,
      AIT_SIDECAR_METRICS__LISTEN: '127.0.0.1:0',
      ...env,
    });
    await process.waitFor('sidecar_mesh_ready', () => true, { deadlineMs: 30_000 });
    const program = join(examples, agent, `${agent}.mjs`);
    const agentsEnv = { AGENT_HOME: placed.inFolder(`/srv/${agent}`) };
    return { process, program, agentsEnv, inFolder: placed.inFolder };
  };

  const researcher = await sidecar('researcher', { AIT_SIDECAR_APP__ADDRESS: `127.0.0.1:${appPort}` });
  start('researcher', [researcher.program], { ...researcher.agentsEnv, LISTEN: `127.0.0.1:${appPort}` });
  await researcher.process.waitFor('sidecar_ready', () => true, { deadlineMs: 30_000 });
  const planner = await sidecar('planner', { AIT_SIDECAR_INFERENCE__LISTEN: '127.0.0.1:0' });
  const socket = planner.inFolder('unix:/run/ait/researcher.sock');
  const once = start('planner', [planner.program, '--once'], {
    ...planner.agentsEnv,
    RESEARCHER: socket,
    FINDING_EVERY_MS: '10',
  });
  assert.equal(
    await once.exited,
    0,
    [once, planner.process, researcher.process, authority].map((each) => each.tail()).join('\n'),
  );
});
