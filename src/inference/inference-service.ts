import { mkdir } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { resolve } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { tlsKeyDigest } from '../crypto/evidence.ts';
import { readSvid } from '../crypto/svid.ts';
import type { Digest } from '../domain/canonical/digest.ts';
import { MeshError } from '../domain/mesh-error.ts';
import { enrollWithCredential, readCredentialFile } from '../membership/enrollment.ts';
import { TrustStore } from '../membership/trust-store.ts';
import { systemClock, type Clock } from '../platform/clock.ts';
import { ComponentStack } from '../platform/component.ts';
import { lockDirectory, type DirectoryLock } from '../platform/directory-lock.ts';
import { readListenAddress } from '../platform/listen-address.ts';
import type { Logger } from '../platform/logger.ts';
import { createRegistry } from '../platform/metrics-registry.ts';
import { ProbeServer } from '../platform/probe-server.ts';
import { systemRandom, type RandomSource } from '../platform/random.ts';
import { Readiness } from '../platform/readiness.ts';
import { Router } from './api/router.ts';
import { CallerInspection } from './caller-inspection.ts';
import type { InferenceConfig } from './config.ts';
import { Attester } from './evidence/attester.ts';
import { openEvidenceRoot } from './evidence/evidence-root.ts';
import { launchManifest, measureLaunch } from './evidence/launch-manifest.ts';
import { programDigest } from './evidence/program-digest.ts';
import { createInferenceMetrics } from './inference-metrics.ts';
import { KeptBundle } from './kept-bundle.ts';
import { ServiceIdentity } from './service-identity.ts';
import { ServiceListener } from './service-listener.ts';

export interface InferenceServiceOptions {
  readonly config: InferenceConfig;
  /** What paths in the configuration are relative to. */
  readonly folder: string;
  readonly logger: Logger;
  /** Version of the package; part of what is measured. */
  readonly version: string;
  /** Default: the machine's. */
  readonly clock?: Clock;
  /** Default: the operating system's. */
  readonly random?: RandomSource;
}

/** A running inference service. */
export interface RunningInferenceService {
  /** `host:port`, actual. */
  readonly address: string;
  readonly metricsAddress: string;
  readonly measurement: Digest;
  readonly evidenceRoot: Digest;
  /** @param options `now`: ends answers under way at once when it aborts */
  stop(options: { readonly deadlineMs: number; readonly now?: AbortSignal }): Promise<void>;
}

/** @throws MeshError `FILE_UNREADABLE` */
export async function makeStateDir(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new MeshError('FILE_UNREADABLE', `the state directory ${path} cannot be used: ${(cause as Error).message}`, {
      cause,
      hint: "make it a directory of the service's user on a disk with space, or name another one (state_dir)",
    });
  }
}

/**
 * Puts an inference service together and starts it: joins, then listens.
 *
 * @throws MeshError `STATE_LOCKED`, `FILE_UNREADABLE`, `JOIN_CREDENTIAL_MALFORMED`; `START_FAILED` naming the part that
 * did not start, with `JOIN_REFUSED`, `ADDRESS_IN_USE` or another as cause
 */
export async function startInferenceService(
  options: InferenceServiceOptions,
  signal?: AbortSignal,
): Promise<RunningInferenceService> {
  const stateDir = resolve(options.folder, options.config.state_dir);
  await makeStateDir(stateDir);
  const lock = lockDirectory(stateDir);
  try {
    return await assemble(options, { stateDir, lock, signal });
  } catch (error) {
    lock.release();
    throw error;
  }
}

async function assemble(
  options: InferenceServiceOptions,
  { stateDir, lock, signal }: { stateDir: string; lock: DirectoryLock; signal: AbortSignal | undefined },
): Promise<RunningInferenceService> {
  const { config, folder, logger, version, clock = systemClock, random = systemRandom } = options;
  const credential = readCredentialFile(resolve(folder, config.authority.join_credential), 'inference');
  const enrollment = {
    ...enrollWithCredential(credential),
    ...(config.authority.address !== undefined && { authority: config.authority.address }),
  };
  const registry = createRegistry({ clock });
  const metrics = createInferenceMetrics(registry);
  metrics.buildInfo.set({ version, node: process.version }, 1);
  const readiness = new Readiness([{ name: 'starting', reason: 'the service is still starting' }]);
  const root = await openEvidenceRoot(stateDir, { clock, random });
  const measurement = measureLaunch(launchManifest({ config, version, program: programDigest() }));
  const attester = new Attester({
    root,
    measurement,
    models: config.models.map(({ id }) => id),
    clock,
    random,
    onKey: (notAfter) => metrics.certificateExpiry.set({ kind: 'evidence' }, Math.floor(notAfter / 1000)),
  });
  const trust = new TrustStore();
  const callers = new CallerInspection({ trustDomain: enrollment.trustDomain, trust, clock });
  const identity: ServiceIdentity = new ServiceIdentity({
    enrollment,
    kept: new KeptBundle(stateDir, logger),
    trust,
    handshakeTimeoutMs: config.timing.handshake_timeout,
    readiness,
    clock,
    random,
    logger,
    metrics,
    onChange: () => listener.rotate(),
    onRevoked: () => listener.cut(),
  });
  const router = new Router({
    config,
    launchedAt: Math.floor(clock.now() / 1000),
    callerProblem: (request) => callers.problem(request.socket as TLSSocket),
    attest: (request, nonce) => attester.attest({ nonce, tlsKey: shownKeyOf(request) }),
    clock,
    random,
    logger,
    metrics,
  });
  const listener: ServiceListener = new ServiceListener({
    config,
    context: () => identity.tls,
    callerProblem: (socket) => callers.problem(socket),
    serve: (request, response) => router.serve(request, response),
    clock,
    logger,
    metrics,
  });
  const metricsListen = readListenAddress(config.metrics.listen);
  if (metricsListen === undefined) throw new TypeError('the configuration was not validated');
  const probes = new ProbeServer({ listen: metricsListen, readiness, registry });
  const releaseLock = {
    name: 'state lock',
    start: () => Promise.resolve(),
    stop: () => Promise.resolve(lock.release()),
  };
  const stack = new ComponentStack([releaseLock, probes, identity, listener], { logger });
  await stack.start(signal);
  readiness.clear('starting');
  logger.info('inference_ready', {
    id: enrollment.subject,
    listen: listener.address,
    metrics_listen: probes.address,
    simulated: true,
    measurement,
    evidence_root: root.pin,
  });
  return {
    address: listener.address,
    metricsAddress: probes.address,
    measurement,
    evidenceRoot: root.pin,
    stop: async ({ deadlineMs, now }) => {
      readiness.block('draining', 'the service is being stopped');
      const cut = (): void => listener.cut();
      if (now?.aborted === true) cut();
      now?.addEventListener('abort', cut, { once: true });
      await stack.stop({ deadlineMs });
      now?.removeEventListener('abort', cut);
      logger.info('inference_stopped', {});
    },
  };
}

/** Of the certificate that this very connection shows: after a renewal, older connections still show the one before. */
function shownKeyOf(request: IncomingMessage): Digest {
  const shown = (request.socket as TLSSocket).getCertificate();
  if (shown === null || !('raw' in shown)) throw new MeshError('INTERNAL', 'a connection shows no certificate');
  return tlsKeyDigest(readSvid(shown.raw).publicKey);
}
