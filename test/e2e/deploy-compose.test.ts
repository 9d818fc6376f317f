/** deploy/compose: what it names is there, and the processes accept what they are given. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { runAit } from '../support/run-ait.ts';

const folder = fileURLToPath(new URL('../../deploy/compose/', import.meta.url));
const root = resolve(folder, '../..');

interface Service {
  readonly image: string;
  readonly build?: { readonly context: string; readonly dockerfile: string; readonly target: string };
  readonly command?: readonly string[];
  readonly network_mode?: string;
  readonly networks?: readonly string[];
  readonly volumes?: readonly string[];
  readonly read_only?: boolean;
  readonly cap_drop?: readonly string[];
  readonly ports?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly healthcheck?: { readonly test: readonly string[] };
}

const compose = parse(readFileSync(join(folder, 'compose.yaml'), 'utf8'), { merge: true }) as {
  services: Record<string, Service>;
  volumes: Record<string, unknown>;
  networks: Record<string, { internal?: boolean } | null>;
};
const services = Object.entries(compose.services);
const ofImage = (image: string) => services.filter(([, service]) => service.image.startsWith(`${image}:`));
const mountsOf = ({ volumes = [] }: Service) => {
  return volumes.map((each) => {
    const [source = '', target = '', mode = 'rw'] = each.split(':');
    return { source, target, mode };
  });
};

test('every file, volume, network and service that is named is there', () => {
  assert.ok(services.length >= 8);
  for (const [name, service] of services) {
    for (const { source } of mountsOf(service)) {
      if (source.startsWith('.')) assert.ok(existsSync(join(folder, source)), `${name}: ${source}`);
      else assert.ok(source in compose.volumes, `${name}: volume ${source}`);
    }
    for (const network of service.networks ?? []) assert.ok(network in compose.networks, `${name}: ${network}`);
    for (const other of Object.keys(service.depends_on ?? {}))
      assert.ok(other in compose.services, `${name}: ${other}`);
    const { build } = service;
    if (build === undefined) continue;
    assert.equal(resolve(folder, build.context), root);
    const dockerfile = readFileSync(join(root, build.dockerfile), 'utf8');
    assert.match(dockerfile, new RegExp(`^FROM .* AS ${build.target}$`, 'm'), name);
  }
  const used = new Set(services.flatMap(([, service]) => mountsOf(service).map(({ source }) => source)));
  for (const volume of Object.keys(compose.volumes)) assert.ok(used.has(volume), `nobody uses the volume ${volume}`);
});

test('every command is one of ait, with flags that it has; and so is every health check', async () => {
  const commands = ofImage('ait-mesh').flatMap(([name, { command = [], healthcheck }]) => {
    const probe = healthcheck?.test ?? [];
    return [{ name, command }, ...(probe[1] === 'ait' ? [{ name: `${name}, health`, command: probe.slice(2) }] : [])];
  });
  assert.ok(commands.length >= 7);
  const helps = new Map<string, string>();
  for (const { name, command } of commands) {
    const verbs = command.slice(
      0,
      command[0] === 'sidecar' && command[1] === 'wait' ? 2 : command[1]?.startsWith('-') ? 1 : 2,
    );
    const key = verbs.join(' ');
    if (!helps.has(key)) {
      const { code, output } = await runAit([...verbs, '--help']);
      assert.equal(code, 0, `${name}: ait ${key}\n${output}`);
      helps.set(key, output);
    }
    for (const flag of command.filter((each) => each.startsWith('--')))
      assert.match(helps.get(key) ?? '', new RegExp(`${flag}\\b`), `${name}: ait ${key} has no ${flag}`);
  }
});

test('the processes accept their configuration, the authority its policy', async () => {
  const policy = mountsOf(compose.services['authority']!).find(({ target }) => target === '/etc/ait/policy');
  for (const [name, service] of ofImage('ait-mesh').filter(([, { command }]) => command?.[1] === '--config')) {
    const [verb = '', , inContainer] = service.command ?? [];
    const config = mountsOf(service).find(({ target }) => target === inContainer);
    assert.ok(config !== undefined, `${name} has no ${inContainer}`);
    const env = verb === 'authority' ? { AIT_AUTHORITY_POLICY_DIR: join(folder, policy?.source ?? '') } : {};
    const args = [verb, '--config', join(folder, config.source), '--check-config'];
    const { code, output } = await runAit(args, { env, deadlineMs: 60_000 });
    assert.equal(code, 0, `${name}\n${output}`);
  }
});

test('every path in a configuration lies in a volume of its service, and what is measured is read-only to both', () => {
  for (const [name, service] of ofImage('ait-mesh').filter(([, { command }]) => command?.[0] === 'sidecar')) {
    const mounts = mountsOf(service);
    const config = readFileSync(
      join(folder, mounts.find(({ target }) => target === '/etc/ait/sidecar.yaml')!.source),
      'utf8',
    );
    const paths = [...config.matchAll(/(?<=[ :])\/[\w./-]+/g)].map(([path]) => path);
    assert.ok(paths.length >= 6, name);
    for (const path of paths)
      assert.ok(
        mounts.some(({ target }) => path.startsWith(`${target}/`)),
        `${name}: ${path}`,
      );
    const agent = name.replace(/-sidecar$/, '');
    const shared = mounts.filter(({ target }) => target === `/srv/${agent}` || target === '/run/ait');
    const agents = compose.services[agent]!;
    assert.deepEqual(
      mountsOf(agents),
      shared.toReversed().toSorted((a, b) => (a.target < b.target ? -1 : 1)),
      'nothing else is shared',
    );
    assert.equal(shared.find(({ target }) => target === `/srv/${agent}`)?.mode, 'ro');
    assert.equal(agents.network_mode, `service:${name}`);
  }
});

test('containers are hardened, the mesh has no way out, and only loopback ports are published', () => {
  for (const [name, service] of [...ofImage('ait-mesh'), ...ofImage('ait-mesh-examples')]) {
    assert.equal(service.read_only, true, name);
    assert.deepEqual(service.cap_drop, ['ALL'], name);
    assert.equal(service.ports, undefined, name);
    assert.ok(service.network_mode !== undefined || service.networks?.join() === 'mesh', name);
  }
  assert.equal(compose.networks['mesh']?.internal, true);
  for (const port of services.flatMap(([, { ports = [] }]) => ports)) assert.match(port, /^127\.0\.0\.1:/);
});

test('Prometheus scrapes ports that the services listen on, under the names that rules and dashboard expect', () => {
  const { scrape_configs: jobs } = parse(readFileSync(join(folder, 'prometheus.yaml'), 'utf8')) as {
    scrape_configs: { job_name: string; static_configs: { targets: string[]; labels?: { agent: string } }[] }[];
  };
  const metricsPort: Record<string, string> = { sidecar: '17090', authority: '17190', inference: '17290' };
  const running = ofImage('ait-mesh').filter(([, { command }]) => command?.[1] === '--config');
  const targets = jobs.flatMap(({ job_name: job, static_configs: all }) =>
    all.flatMap(({ targets: addresses, labels }) =>
      addresses.map((address) => ({ job, address, agent: labels?.agent })),
    ),
  );
  assert.deepEqual(
    new Set(targets.map(({ address }) => address)),
    new Set(running.map(([name, { command }]) => `${name}:${metricsPort[command?.[0] ?? '']}`)),
  );
  for (const { job, address, agent } of targets) {
    assert.equal(job, `ait-${compose.services[address.split(':')[0] ?? '']?.command?.[0]}`);
    if (job === 'ait-sidecar') assert.equal(address, `${agent}-sidecar:17090`);
  }
});
