import { isHostPort } from '../../domain/host-port.ts';
import { sha256Digest } from '../../domain/canonical/digest.ts';
import type { InferenceService } from '../../domain/inference/evidence.ts';
import type { SpiffeId } from '../../domain/agent-id.ts';
import { rejection, type Rejection, type RejectionCode } from '../../domain/rejection.ts';
import type { TlsContext } from '../../crypto/tls-context.ts';
import { after, type Clock } from '../../platform/clock.ts';
import type { Logger } from '../../platform/logger.ts';
import { Backoff, type RandomSource } from '../../platform/random.ts';
import type { Readiness } from '../../platform/readiness.ts';
import type { SidecarMetrics } from '../sidecar-metrics.ts';
import { HTTP_ALPN, type TrustedRoots } from '../../membership/peer-inspection.ts';
import { ConnectionRefused, openTcp, secureOutbound } from '../../membership/secure-outbound.ts';
import { AttestedConnection, type EvidenceChecker } from './attested-connection.ts';
import { CallRefused, endOf } from './call-refused.ts';
import { ConnectionPool } from './connection-pool.ts';
import { INFERENCE_BLOCKER } from './inference-blocker.ts';
import type { UpstreamTimeouts } from './upstream-connection.ts';
import type { Upstream, UpstreamAnswer, UpstreamRequest } from './upstream.ts';

export interface ServiceUpstreamOptions {
  readonly id: SpiffeId;
  /** `host:port`. */
  readonly address: string;
  readonly connectTimeoutMs: number;
  readonly timeouts: UpstreamTimeouts;
  /** How old accepted evidence may be when a prompt goes out on it. */
  readonly attestationIntervalMs: number;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly logger: Logger;
  readonly metrics: SidecarMetrics;
  readonly readiness: Readiness;
  readonly roots: () => TrustedRoots;
  /** What we show; `undefined` before this instance is a member. */
  readonly identity: () => { readonly tls: TlsContext; readonly thumbprint: string } | undefined;
  /** What the signed state allows of this service, for this agent; or why nothing. */
  readonly permission: () => InferenceService | Rejection;
  /** What stands against the certificate that the service shows. */
  readonly checkPeer: (peer: AttestedConnection['peer']) => Rejection | undefined;
  readonly checkEvidence: EvidenceChecker;
}

const NONCE_BYTES = 32;
const RETRY = { minMs: 500, maxMs: 15_000 } as const;
/** What is no verdict on the service, only that it was not heard. */
const UNHEARD: ReadonlySet<RejectionCode> = new Set([
  'INFERENCE_UNAVAILABLE',
  'INFERENCE_TIMEOUT',
  'PEER_UNREACHABLE',
  'TLS_HANDSHAKE_TIMEOUT',
  'TLS_HANDSHAKE_FAILED',
]);

/**
 * The confidential-inference service. A prompt goes only to the one that is configured, over a connection for whose very
 * key evidence was accepted: when it was opened, and again when that evidence is old. What is asked on a schedule besides
 * keeps one such connection at hand, and finds out soon when the service is another: then every call to it ends.
 */
export class ServiceUpstream implements Upstream {
  readonly name = 'inference service';
  readonly #options: ServiceUpstreamOptions;
  readonly #pool = new ConnectionPool<AttestedConnection>();
  readonly #backoff: Backoff;
  readonly #stopping = new AbortController();
  #cancelNext: (() => void) | undefined;
  #looking = false;
  /** Why no prompt may go out, as said in readiness; `undefined`: it may. */
  #problem: Rejection | undefined = rejection('INFERENCE_UNAVAILABLE', 'the service has not proven itself yet');
  /** What policy was when it was last looked at. */
  #permission: InferenceService | undefined;

  constructor(options: ServiceUpstreamOptions) {
    this.#options = options;
    this.#backoff = new Backoff({ ...RETRY, random: options.random });
  }

  start(): Promise<void> {
    this.#look();
    return Promise.resolve();
  }

  stop(): Promise<void> {
    this.#cancelNext?.();
    this.#stopping.abort();
    this.#pool.endAll(rejection('PEER_DRAINING', 'this sidecar is shutting down'));
    return Promise.resolve();
  }

  async send(request: UpstreamRequest): Promise<UpstreamAnswer> {
    const connection = await this.#ready(request.signal);
    const path = `/v1${request.path}`;
    const beforeWrite = (): Rejection | undefined => this.#judge(connection) ?? request.beforeWrite();
    return connection.send({ ...request, path, beforeWrite }, () => this.#pool.giveBack(connection));
  }

  /** Policy, revocations, roots or time have changed: what is no longer allowed ends, with the calls that it carries. */
  reconsider(): void {
    for (const connection of this.#pool.all) {
      // One that is being attested is judged when a prompt is to go over it.
      const cause = connection.attested ? this.#judge(connection) : undefined;
      if (cause !== undefined) connection.end(cause);
    }
    this.#pool.prune();
    const before = this.#permission;
    const permission = this.#options.permission();
    this.#permission = isRejection(permission) ? undefined : permission;
    if (isRejection(permission)) this.#settle(permission);
    // What was refused may be allowed now: it is asked again at once, and not when its rest is over.
    else if (permission !== before && this.#problem !== undefined) this.#look();
  }

  #judge(connection: AttestedConnection): Rejection | undefined {
    const permission = this.#options.permission();
    if (isRejection(permission)) return permission;
    return this.#options.checkPeer(connection.peer) ?? connection.judge(permission);
  }

  /** A connection that a prompt may go over now. @throws CallRefused, AgentHungUp */
  async #ready(signal: AbortSignal): Promise<AttestedConnection> {
    const { attestationIntervalMs, identity } = this.#options;
    for (let known = this.#pool.take(); known !== undefined; known = this.#pool.take()) {
      if (known.shown !== identity()?.thumbprint) known.close();
      else if (known.evidenceAgeMs < attestationIntervalMs) return known;
      else if ((await this.#attest(known, signal)) === undefined) return known;
      else known.close();
    }
    const opened = await this.#open(signal);
    if (opened instanceof AttestedConnection) return opened;
    if (signal.aborted) throw endOf(signal);
    throw new CallRefused(opened);
  }

  /** Opens a connection, and has it attested. */
  async #open(signal: AbortSignal): Promise<AttestedConnection | Rejection> {
    const permission = this.#options.permission();
    if (isRejection(permission)) return permission;
    const connection = await this.#connect(signal);
    if (!(connection instanceof AttestedConnection)) {
      // That the agent hung up says nothing of the service.
      return signal.aborted ? connection : (this.#heard(connection) ?? connection);
    }
    this.#pool.add(connection);
    const refused = await this.#attest(connection, signal);
    if (refused === undefined) return connection;
    connection.end(refused);
    return refused;
  }

  /** @returns why it is not accepted. */
  async #attest(connection: AttestedConnection, signal: AbortSignal): Promise<Rejection | undefined> {
    const { random, permission, connectTimeoutMs } = this.#options;
    const service = permission();
    if (isRejection(service)) return service;
    const nonce = random.bytes(NONCE_BYTES).toString('base64url');
    const late = new AbortController();
    const cause = new CallRefused(rejection('INFERENCE_TIMEOUT', `no evidence within ${connectTimeoutMs} ms`));
    const cancel = after({ delayMs: connectTimeoutMs, run: () => late.abort(cause), keepAlive: false });
    const onAbort = (): void => late.abort(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    const refused = await connection.attest({ nonce, service, signal: late.signal });
    signal.removeEventListener('abort', onAbort);
    cancel();
    // That the agent hung up says nothing of the service.
    return signal.aborted ? refused : this.#heard(refused);
  }

  /** Takes note of what a look at the service came to. */
  #heard(refused: Rejection | undefined): Rejection | undefined {
    const { metrics } = this.#options;
    metrics.attestationChecks.add({ result: refused?.code ?? 'accepted' });
    this.#settle(refused);
    // Another enclave answers there now: whatever is open to the one before is ended, too.
    if (refused !== undefined && !UNHEARD.has(refused.code)) this.#pool.endAll(refused);
    return refused;
  }

  async #connect(signal: AbortSignal): Promise<AttestedConnection | Rejection> {
    const { address, clock, connectTimeoutMs, identity, roots, id, checkEvidence, timeouts } = this.#options;
    const shown = identity();
    if (shown === undefined) return rejection('INFERENCE_UNAVAILABLE', 'this instance is no member yet');
    if (!isHostPort(address)) return rejection('PEER_UNREACHABLE', 'the address is not host:port');
    try {
      const raw = await openTcp(address, connectTimeoutMs);
      const { socket, peer } = await secureOutbound({
        raw,
        context: shown.tls,
        roots: roots(),
        alpn: HTTP_ALPN,
        timeoutMs: connectTimeoutMs,
        now: () => clock.now(),
        signal,
      });
      const { identity: them } = peer;
      if (them.spiffeId !== id) {
        socket.destroy();
        return rejection('UNEXPECTED_PEER', `${address} is ${them.spiffeId}, not ${id}`);
      }
      return new AttestedConnection({
        socket,
        authority: address,
        clock,
        timeouts,
        onGone: (gone) => this.#pool.gone(gone as AttestedConnection),
        peer: them,
        shown: shown.thumbprint,
        tlsKey: sha256Digest(them.publicKey.export({ type: 'spki', format: 'der' })),
        check: checkEvidence,
      });
    } catch (error) {
      if (error instanceof ConnectionRefused) return error.rejection;
      throw error;
    }
  }

  /** One look at the service, on schedule; the connection that it was made over waits for the next call. */
  #look(): void {
    if (this.#looking || this.#stopping.signal.aborted) return;
    this.#looking = true;
    this.#cancelNext?.();
    void this.#lookOnce().then((failed) => {
      this.#looking = false;
      if (this.#stopping.signal.aborted) return;
      this.#lookIn(failed ? this.#backoff.next() : this.#options.attestationIntervalMs);
    });
  }

  #lookIn(delayMs: number): void {
    this.#cancelNext?.();
    this.#cancelNext = after({ delayMs, run: () => this.#look(), keepAlive: false });
  }

  async #lookOnce(): Promise<boolean> {
    const { signal } = this.#stopping;
    const { logger } = this.#options;
    try {
      // Over a new connection: an old one leads to the process that it was opened to, wherever that is now.
      const opened = await this.#open(signal);
      if (!(opened instanceof AttestedConnection)) {
        if (!signal.aborted) this.#settle(opened);
        return true;
      }
      this.#pool.giveBack(opened);
      return false;
    } catch (error) {
      logger.error('defect', { what: 'asking the inference service for evidence', error });
      return true;
    }
  }

  #settle(problem: Rejection | undefined): void {
    const { readiness, logger, id } = this.#options;
    const before = this.#problem;
    this.#problem = problem;
    // A call may have found it in order before its rest was over.
    if (problem === undefined && before !== undefined) {
      this.#backoff.reset();
      this.#lookIn(this.#options.attestationIntervalMs);
    }
    if (problem === undefined) readiness.clear(INFERENCE_BLOCKER);
    else readiness.block(INFERENCE_BLOCKER, `${problem.code}: ${problem.detail}`);
    // That the state is yet to come says nothing of the service.
    if (before?.code === problem?.code || problem?.code === 'STATE_MISSING') return;
    if (problem === undefined) logger.info('inference_service_attested', { service: id });
    else logger.warn('inference_service_refused', { service: id, code: problem.code, detail: problem.detail });
  }
}

function isRejection(value: InferenceService | Rejection): value is Rejection {
  return 'code' in value;
}
