import { join } from 'node:path';
import type { Server as GrpcServer } from '@grpc/grpc-js';
import { systemClock, type Clock } from '../platform/clock.ts';
import { ComponentStack } from '../platform/component.ts';
import type { Logger } from '../platform/logger.ts';
import { createRegistry } from '../platform/metrics-registry.ts';
import { systemRandom, type RandomSource } from '../platform/random.ts';
import { Readiness } from '../platform/readiness.ts';
import type { StateStore } from '../platform/store.ts';
import { identityService, joinService, reportService, stateService } from '../wire/services.ts';
import { createAdminViews } from './operators/admin-views.ts';
import { authorityAdminRoutes } from './operators/admin-routes.ts';
import { driftRoutes } from './operators/drift-routes.ts';
import { OperatorListener } from './operators/operator-listener.ts';
import { operatorRoutes } from './operators/operator-routes.ts';
import { Operators } from './operators/operators.ts';
import { AdminSocket, type AdminRoutes } from '../platform/admin-socket.ts';
import { AitIssuer } from './keys/ait-issuer.ts';
import { createAuthorityMetrics } from './authority-metrics.ts';
import { Callers } from './membership/callers.ts';
import { CertificateAuthority } from './keys/certificate-authority.ts';
import { KeyRotation } from './keys/key-rotation.ts';
import { lifetimesOf, warnOfShortSvids } from './keys/lifetimes.ts';
import type { AuthorityConfig } from './config.ts';
import { GrpcListener } from './grpc-listener.ts';
import { createIdentityService } from './membership/identity-service.ts';
import { endpointsOf, ownerOf } from './membership/endpoints.ts';
import { instancePruner } from './membership/instance-pruner.ts';
import { Instances } from './membership/instances.ts';
import { openStore, storeComponent } from './state-directory.ts';
import { JoinCredentials } from './membership/join-credentials.ts';
import { createJoinService } from './membership/join-service.ts';
import { PodLineages } from './kubernetes/pod-lineages.ts';
import { checkClusterFiles, ServiceAccounts } from './kubernetes/service-accounts.ts';
import { PolicyDirectory } from './policy/policy-directory.ts';
import { PolicyLedger } from './policy/policy-ledger.ts';
import { NoticeWatch } from './policy/notice-watch.ts';
import { policyRoutes } from './operators/policy-routes.ts';
import { KnownMesh } from './reports/known-mesh.ts';
import { indexPolicy, type PolicyIndex } from './policy/policy-index.ts';
import { ProbeServer } from '../platform/probe-server.ts';
import type { StateSource } from './state/recipient-view.ts';
import { DecisionLog } from './reports/decision-log.ts';
import { InstanceReports } from './reports/instance-reports.ts';
import { Questions } from './reports/questions.ts';
import { ReportService } from './reports/report-service.ts';
import { Presence } from './membership/presence.ts';
import { StatePublisher } from './state/state-publisher.ts';
import { WantedPeers } from './state/wanted-peers.ts';
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
  readonly operatorsAddress: string;
  readonly adminSocket: string;
  /** Of the root that signs now. */
  readonly rootSha256: string;
  readonly credentials: JoinCredentials;
  readonly policy: PolicyDirectory;
  readonly ledger: PolicyLedger;
  stop(options: { readonly deadlineMs: number }): Promise<void>;
}

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

async function assemble(options: AuthorityOptions, store: StateStore): Promise<Authority> {
  const { config, logger, clock = systemClock, random = systemRandom } = options;
  const trustDomain = config.trust_domain;
  const registry = createRegistry({ clock });
  const metrics = createAuthorityMetrics(registry);
  const readiness = new Readiness([{ name: 'starting', reason: 'the authority is still starting' }]);

  const parts = { store, clock, logger, metrics };
  const lifetimes = lifetimesOf(config);
  warnOfShortSvids(lifetimes, logger);
  const authority = await CertificateAuthority.open({ trustDomain, store, clock, random, lifetimes });
  const rotation = new KeyRotation({ authority, lifetimes, clock, logger, metrics });
  const credentials = new JoinCredentials({ store, clock, random });
  const clusters = config.kubernetes ?? [];
  checkClusterFiles(clusters);
  const serviceAccounts = new ServiceAccounts({ clusters, trustDomain, clock, logger, metrics });
  const pods = new PodLineages({ store, clock });
  const instances = new Instances({ store, authority, clock, random, logger, metrics });
  await instances.load();
  const operators = new Operators({ trustDomain, store, authority, clock });
  await operators.load();

  let index = indexPolicy([]);
  const policyListeners = new Set<() => void>();
  const policy = () => index;
  const signer = new StateSigner(() => authority.stateKey);
  const presence = new Presence({ clock });
  const wanted = new WantedPeers();
  const stateUnder = (policyInForce: PolicyIndex): StateSource => ({
    policy: policyInForce,
    endpointsOf: endpointsOf(instances, presence),
    bundle: authority.bundle,
    wanted,
    now: clock.now(),
    ownerOf: (revocation) => ownerOf(revocation, instances),
  });
  const publisher = new StatePublisher({
    trustDomain,
    store,
    signer,
    clock,
    logger,
    metrics,
    outageToleranceMs: config.outage_tolerance,
    epoch: config.state_epoch,
    source: () => stateUnder(index),
  });
  const policyChanged = (): void => {
    index = indexPolicy(ledger.objects());
    for (const listener of policyListeners) listener();
    publisher.changed();
  };
  instances.onChange(() => publisher.changedInPassing());
  presence.onChange(() => publisher.changedInPassing());
  wanted.onChange((concerned) => {
    if (concerned.some((agent) => index.agents.get(agent)?.observeUntil !== undefined)) publisher.changedInPassing();
  });
  authority.onChange(() => publisher.changed());

  const callers = new Callers({ authority, instances, clock, metrics, policy });
  const issuer = new AitIssuer({
    signingKey: () => authority.aitKey,
    clock,
    random,
    lifetimeMs: lifetimes.aitMs,
    policy,
  });
  const decisions = new DecisionLog({
    directory: join(config.state_dir, 'decisions'),
    maxAgeMs: config.decision_retention,
    maxCount: config.decision_limit,
    clock,
    logger,
    metrics,
  });
  const instanceReports = new InstanceReports(clock);
  const questions = new Questions({ random, metrics });
  const reports = new ReportService({
    callers,
    clock,
    logger,
    metrics,
    instances: instanceReports,
    decisions,
    questions,
  });
  const mesh = new KnownMesh({ instances, presence, reports: instanceReports, clock });
  const ledger = new PolicyLedger({
    ...parts,
    trustDomain,
    impactLimit: config.impact_limit,
    mesh,
    alongside: (objects) => publisher.prepare(stateUnder(indexPolicy(objects))),
  });
  await ledger.load();
  ledger.onChange(policyChanged);
  const directory = new PolicyDirectory({
    directory: config.policy_dir,
    trustDomain,
    ledger,
    logger,
    metrics,
    intervalMs: config.policy_interval,
  });
  const notices = new NoticeWatch({
    ...parts,
    sources: async () => ({
      objects: ledger.objects(),
      credentials: (await credentials.list()).filter(
        ({ usesLeft, expiresAt }) => usesLeft !== 0 && expiresAt > clock.now(),
      ),
      roots: authority.rootEnds,
    }),
  });
  ledger.onChange(() => notices.look());
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
      server.addService(
        identityService,
        createIdentityService({ callers, instances, issuer, bundleJson: () => authority.bundleJson, logger, metrics }),
      );
      server.addService(
        stateService,
        createStateService({
          callers,
          publisher,
          presence,
          wanted,
          signer,
          bundleJson: () => authority.bundleJson,
          clock,
          logger,
          metrics,
          onPolicyChange,
        }),
      );
      server.addService(reportService, reports.handlers);
    },
  });
  const probes = new ProbeServer({ listen: config.metrics_listen, readiness, registry });
  const addresses = () => ({ grpc: grpc.address, operators: operatorListener.address, metrics: probes.address });
  const routes: AdminRoutes = {
    ...authorityAdminRoutes({
      trustDomain,
      credentials,
      decisions,
      clock,
      logger,
      // The newest: the listener can show it already, and it will be there longest.
      rootSha256: () => authority.newestRootSha256,
      rotation,
      advertised: () => config.advertise ?? grpc.address,
      views: createAdminViews({
        trustDomain,
        authority,
        ledger,
        policy: directory,
        instances,
        reports: instanceReports,
        readiness,
        clock,
        addresses,
      }),
    }),
    ...operatorRoutes({
      trustDomain,
      operators,
      authority,
      advertised: () => config.operators_advertise ?? operatorListener.address,
      now: () => clock.now(),
    }),
    ...driftRoutes({ trustDomain, reports: instanceReports, questions, logger }),
    ...policyRoutes({ trustDomain, ledger, directory, notices, impactLimit: config.impact_limit }),
  };
  // An approval carries a whole baseline.
  const largeBodies = ['/policy/changes'];
  const admin = new AdminSocket({ path: join(config.state_dir, 'admin.sock'), logger, routes, largeBodies });
  const operatorListener: OperatorListener = new OperatorListener({
    address: config.operators_listen,
    routes,
    largeBodies,
    operators,
    authority,
    clock,
    logger,
    metrics,
    hostName: () => config.operators_advertise?.replace(/:[0-9]+$/, ''),
  });

  const adminSocket = join(config.state_dir, 'admin.sock');
  const stack = new ComponentStack(
    [
      storeComponent(store),
      rotation,
      directory,
      { name: 'policy index', start: () => Promise.resolve(policyChanged()), stop: () => Promise.resolve() },
      publisher,
      notices,
      decisions,
      instancePruner(instances, logger),
      { name: 'presence', start: () => Promise.resolve(), stop: () => Promise.resolve(presence.stop()) },
      probes,
      admin,
      operatorListener,
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
    operators_listen: operatorListener.address,
    metrics_listen: probes.address,
    admin_socket: adminSocket,
    root_sha256: authority.rootSha256,
  });
  return {
    address: grpc.address,
    metricsAddress: probes.address,
    operatorsAddress: operatorListener.address,
    adminSocket,
    get rootSha256() {
      return authority.rootSha256;
    },
    credentials,
    policy: directory,
    ledger,
    stop: async (stopOptions) => {
      readiness.block('stopping', 'the authority is being stopped');
      await stack.stop(stopOptions);
      logger.info('authority_stopped', {});
    },
  };
}

/** Allowed, because some want certificates to be short whatever it costs; but nobody should find out in an outage. */
