import { join } from 'node:path';
import type { Server as GrpcServer } from '@grpc/grpc-js';
import type { SpiffeId } from '../domain/agent-id.ts';
import { isMeshError, MeshError } from '../domain/mesh-error.ts';
import type { Endpoint, Revocation } from '../domain/mesh-state.ts';
import { after, systemClock, type Clock } from '../platform/clock.ts';
import { ComponentStack, type Component } from '../platform/component.ts';
import { FileStore } from '../platform/file-store.ts';
import type { Logger } from '../platform/logger.ts';
import { createRegistry } from '../platform/metrics-registry.ts';
import { systemRandom, type RandomSource } from '../platform/random.ts';
import { Readiness } from '../platform/readiness.ts';
import type { StateStore } from '../platform/store.ts';
import { identityService, joinService, reportService, stateService } from '../wire/services.ts';
import { createAdminViews } from './operators/admin-views.ts';
import { authorityAdminRoutes } from './operators/admin-routes.ts';
import { AdminSocket } from '../platform/admin-socket.ts';
import { AitIssuer } from './keys/ait-issuer.ts';
import { createAuthorityMetrics } from './authority-metrics.ts';
import { Callers } from './membership/callers.ts';
import { CertificateAuthority } from './keys/certificate-authority.ts';
import type { AuthorityConfig } from './config.ts';
import { GrpcListener } from './grpc-listener.ts';
import { createIdentityService } from './membership/identity-service.ts';
import { Instances } from './membership/instances.ts';
import { JoinCredentials } from './membership/join-credentials.ts';
import { createJoinService } from './membership/join-service.ts';
import { PodLineages } from './kubernetes/pod-lineages.ts';
import { checkClusterFiles, ServiceAccounts } from './kubernetes/service-accounts.ts';
import { PolicyDirectory } from './policy/policy-directory.ts';
import { indexPolicy } from './policy/policy-index.ts';
import { ProbeServer } from '../platform/probe-server.ts';
import type { StateSource } from './state/recipient-view.ts';
import { ReportService } from './reports/report-service.ts';
import { Presence } from './membership/presence.ts';
import { StatePublisher } from './state/state-publisher.ts';
import { createStateService } from './state/state-service.ts';
import { StateSigner } from './keys/state-signer.ts';

export interface AuthorityOptions {
  readonly config: AuthorityConfig;
  readonly logger: Logger;
  /** Default: the machine's. */
  readonly clock?: Clock;
  /** Default: the operating system's. */
  readonly random?: RandomSource;
}

/** A running authority. */
export interface Authority {
  /** `host:port`, actual. */
  readonly address: string;
  readonly metricsAddress: string;
  readonly adminSocket: string;
  readonly rootSha256: string;
  readonly credentials: JoinCredentials;
  readonly policy: PolicyDirectory;
  stop(options: { readonly deadlineMs: number }): Promise<void>;
}

/** How often instances whose certificates have ended are forgotten, in ms. */
const PRUNE_INTERVAL_MS = 10_000;

/**
 * Puts an authority together and starts it; everything is bound before anything is served.
 *
 * @throws MeshError `STATE_LOCKED`, `STATE_FILE_CORRUPT`, `CONFIG_INVALID`, `FILE_UNREADABLE` for the state directory;
 * `START_FAILED` naming the part that did not start, with `ADDRESS_IN_USE` or another as cause
 */
export async function startAuthority(options: AuthorityOptions): Promise<Authority> {
  const store = await openStore(options.config.state_dir);
  try {
    return await assemble(options, store);
  } catch (error) {
    await store.close();
    throw error;
  }
}

async function openStore(directory: string): Promise<StateStore> {
  try {
    return await FileStore.open(directory);
  } catch (cause) {
    if (isMeshError(cause)) throw cause;
    throw new MeshError(
      'FILE_UNREADABLE',
      `the state directory ${directory} cannot be used: ${(cause as Error).message}`,
      {
        cause,
        hint: "make it a directory of the authority's user on a disk with space, or name another one (state_dir)",
      },
    );
  }
}

async function assemble(options: AuthorityOptions, store: StateStore): Promise<Authority> {
  const { config, logger, clock = systemClock, random = systemRandom } = options;
  const trustDomain = config.trust_domain;
  const registry = createRegistry({ clock });
  const metrics = createAuthorityMetrics(registry);
  const readiness = new Readiness([{ name: 'starting', reason: 'the authority is still starting' }]);

  const svidLifetimeMs = config.svid_lifetime;
  const authority = await CertificateAuthority.open({ trustDomain, store, clock, random, svidLifetimeMs });
  const credentials = new JoinCredentials({ store, clock, random });
  const clusters = config.kubernetes ?? [];
  checkClusterFiles(clusters);
  const serviceAccounts = new ServiceAccounts({ clusters, trustDomain, clock, logger, metrics });
  const pods = new PodLineages({ store, clock });
  const instances = new Instances({ store, authority, clock, random, logger, metrics });
  await instances.load();
  const policyDirectory = new PolicyDirectory({
    directory: config.policy_dir,
    trustDomain,
    store,
    logger,
    metrics,
    intervalMs: config.policy_interval,
  });

  let index = indexPolicy([]);
  const policyListeners = new Set<() => void>();
  const policy = () => index;
  const signer = new StateSigner(authority.stateKey);
  const presence = new Presence({ clock });
  const publisher = new StatePublisher({
    trustDomain,
    store,
    signer,
    clock,
    logger,
    metrics,
    outageToleranceMs: config.outage_tolerance,
    epoch: config.state_epoch,
    source: (): StateSource => ({
      policy: index,
      endpointsOf: endpointsOf(instances, presence),
      bundle: authority.bundle,
      ownerOf: (revocation) => ownerOf(revocation, instances),
    }),
  });
  const policyChanged = (): void => {
    index = indexPolicy(policyDirectory.objects());
    for (const listener of policyListeners) listener();
    publisher.changed();
  };
  policyDirectory.onChange(policyChanged);
  instances.onChange(() => publisher.changed());
  presence.onChange(() => publisher.changed());

  const callers = new Callers({ authority, instances, clock, metrics, policy });
  const issuer = new AitIssuer({
    signingKey: authority.aitKey,
    clock,
    random,
    lifetimeMs: config.outage_tolerance,
    policy,
  });
  const reports = new ReportService({ callers, logger, metrics });
  const onPolicyChange = (listener: () => void) => {
    policyListeners.add(listener);
    return () => void policyListeners.delete(listener);
  };
  const grpc = new GrpcListener({
    address: config.listen,
    authority,
    callers,
    clock,
    logger,
    metrics,
    register: (server: GrpcServer) => {
      server.addService(
        joinService,
        createJoinService({ credentials, serviceAccounts, pods, instances, authority, logger, metrics, policy }),
      );
      server.addService(identityService, createIdentityService({ callers, instances, issuer, logger, metrics }));
      server.addService(
        stateService,
        createStateService({ callers, publisher, presence, signer, clock, logger, metrics, onPolicyChange }),
      );
      server.addService(reportService, reports.handlers);
    },
  });
  const probes = new ProbeServer({ listen: config.metrics_listen, readiness, registry });
  const addresses = () => ({ grpc: grpc.address, metrics: probes.address });
  const admin = new AdminSocket({
    path: join(config.state_dir, 'admin.sock'),
    logger,
    routes: authorityAdminRoutes({
      trustDomain,
      credentials,
      clock,
      logger,
      rootSha256: authority.rootSha256,
      advertised: () => config.advertise ?? grpc.address,
      views: createAdminViews({
        trustDomain,
        authority,
        policy: policyDirectory,
        instances,
        reports,
        readiness,
        clock,
        addresses,
      }),
    }),
  });

  const adminSocket = join(config.state_dir, 'admin.sock');
  const rootSha256 = authority.rootSha256;
  const stack = new ComponentStack(
    [
      storeComponent(store),
      policyDirectory,
      { name: 'policy index', start: () => Promise.resolve(policyChanged()), stop: () => Promise.resolve() },
      publisher,
      pruner(instances, logger),
      { name: 'presence', start: () => Promise.resolve(), stop: () => Promise.resolve(presence.stop()) },
      probes,
      admin,
      grpc,
      { name: 'serving', start: () => Promise.resolve(grpc.serve()), stop: () => Promise.resolve() },
    ],
    { logger },
  );
  await stack.start();
  readiness.clear('starting');
  logger.info('authority_ready', {
    trust_domain: trustDomain,
    listen: grpc.address,
    metrics_listen: probes.address,
    admin_socket: adminSocket,
    root_sha256: rootSha256,
  });
  return {
    address: grpc.address,
    metricsAddress: probes.address,
    adminSocket,
    rootSha256,
    credentials,
    policy: policyDirectory,
    stop: async (stopOptions) => {
      readiness.block('stopping', 'the authority is being stopped');
      await stack.stop(stopOptions);
      logger.info('authority_stopped', {});
    },
  };
}

function storeComponent(store: StateStore): Component {
  return { name: 'state store', start: () => Promise.resolve(), stop: () => store.close() };
}

function pruner(instances: Instances, logger: Logger): Component {
  let cancel: (() => void) | undefined;
  const arm = (): void => {
    const run = (): void => {
      instances
        .prune()
        .catch((error: unknown) => logger.error('instances_not_pruned', { error }))
        .finally(arm)
        .catch(() => undefined);
    };
    if (!stopped) cancel = after({ delayMs: PRUNE_INTERVAL_MS, keepAlive: false, run });
  };
  let stopped = false;
  return {
    name: 'instance pruner',
    start: () => Promise.resolve(arm()),
    stop: () => {
      stopped = true;
      cancel?.();
      return Promise.resolve();
    },
  };
}

function endpointsOf(instances: Instances, presence: Presence): ReadonlyMap<SpiffeId, readonly Endpoint[]> {
  const endpoints = new Map<SpiffeId, Endpoint[]>();
  for (const { id, agent, address } of instances.live()) {
    if (address === '' || !presence.isThere(id)) continue;
    const list = endpoints.get(agent) ?? [];
    list.push({ agent, instance: id, address });
    endpoints.set(agent, list);
  }
  return endpoints;
}

function ownerOf({ kind, subject }: Revocation, instances: Instances): SpiffeId | undefined {
  switch (kind) {
    case 'agent':
      return subject as SpiffeId;
    case 'instance':
      return instances.get(subject)?.agent;
    case 'certificate':
      return instances.byCertificate(subject)?.agent;
  }
}
