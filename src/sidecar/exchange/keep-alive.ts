import { rejection, type Rejection } from '../../domain/rejection.ts';
import { after } from '../../platform/clock.ts';
import { contain } from '../../platform/contain.ts';
import { RateLimit } from '../../platform/rate-limit.ts';
import type { Statement } from '../identity/presented-identity.ts';
import type { VerifiedToken } from '../../domain/identity-token.ts';
import { refusedBy, isRejectionValue, type ExchangeDeps, type LiveExchange } from './exchange.ts';
import type { IncomingMessage } from './control-stream.ts';

/** A peer may send a burst of this many proofs, and then two a second. */
const PROOF_BURST = 10;
const PROOFS_PER_SECOND = 2;

/** Heartbeats are spread by a fifth, so that sessions opened together do not beat together. */
const JITTER = 0.2;

/** A once-a-second tick that comes this late means that our own event loop stood still, milliseconds. */
const STALL_MS = 2_000;

/**
 * Keeps the sessions of one sidecar proven, in both directions: sends a proof every few seconds and at once when what
 * we measure has changed, sends the renewed token before it, judges what the peer sends in the order it was sent, and
 * notices silence.
 */
export class KeepAlive {
  readonly #deps: ExchangeDeps;
  readonly #live = new Map<LiveExchange['session'], Beating>();
  #stopTick: (() => void) | undefined;
  #draining = false;

  constructor(deps: Omit<ExchangeDeps, 'keepAlive'>) {
    this.#deps = { ...deps, keepAlive: (live) => this.adopt(live) };
  }

  get deps(): ExchangeDeps {
    return this.#deps;
  }

  /** Watches over one accepted session until it ends. */
  adopt(live: LiveExchange): void {
    const { session } = live;
    const beating = new Beating(live, this.#deps, () => this.#draining);
    const before = this.#live.get(session);
    // The connection before may still have something to say; we say nothing more there.
    before?.supersede();
    this.#live.set(session, beating);
    const { logger, registry } = this.#deps;
    const giveUp = () => registry.end(session, rejection('PROTOCOL_ERROR', 'a defect on our side; see the log'));
    contain(beating.run(), { logger, what: 'keeping a session alive', giveUp });
    if (before === undefined) this.#awaitEnd(session);
  }

  /** Once a session, and knowing nothing else: else a session would hold every connection that it ever had. */
  #awaitEnd(session: LiveExchange['session']): void {
    this.#deps.registry.onceEnded(session, () => {
      this.#live.get(session)?.stop();
      this.#live.delete(session);
    });
  }

  /** What we measure, or our token, has changed: every peer learns it now. */
  announce(): void {
    for (const beating of this.#live.values()) beating.announce();
  }

  /** From now on every proof says that we are going away; every peer learns it now. */
  drain(): void {
    this.#draining = true;
    this.announce();
  }

  start(): void {
    let last = this.#deps.clock.monotonic();
    const tick = () => {
      const now = this.#deps.clock.monotonic();
      // A peer did not fall silent while it was us who could not listen: the window starts again.
      if (now - last > 1000 + STALL_MS) for (const { session } of this.#exchanges()) session.heardAt = now;
      last = now;
      this.#noticeSilence(now);
      this.#stopTick = after({ delayMs: 1000, run: tick, keepAlive: false });
    };
    tick();
  }

  stop(): void {
    this.#stopTick?.();
  }

  #exchanges(): LiveExchange[] {
    return [...this.#live.values()].map((beating) => beating.live);
  }

  #noticeSilence(now: number): void {
    const { registry, timing } = this.#deps;
    for (const { session } of this.#exchanges()) {
      const silentMs = now - session.heardAt;
      if (silentMs <= timing.lostAfterMs) continue;
      registry.end(session, rejection('PEER_LOST', `no proof from the peer for ${Math.round(silentMs)} ms`));
    }
  }
}

/** One live session's heart. */
class Beating {
  readonly live: LiveExchange;
  readonly #deps: ExchangeDeps;
  readonly #draining: () => boolean;
  #stated: Statement;
  #peerToken: VerifiedToken;
  readonly #mayProve: RateLimit;
  readonly #mayRenew: RateLimit;
  #cancelBeat: (() => void) | undefined;
  #lastBeatAt: number;
  #superseded = false;

  constructor(live: LiveExchange, deps: ExchangeDeps, draining: () => boolean) {
    const { permit } = live.session;
    if (permit === undefined) throw new TypeError('only an accepted session is kept alive');
    this.live = live;
    this.#deps = deps;
    this.#draining = draining;
    this.#stated = live.stated;
    this.#peerToken = permit.standing.token;
    const limit = { burst: PROOF_BURST, perSecond: PROOFS_PER_SECOND, clock: deps.clock };
    this.#mayProve = new RateLimit(limit);
    this.#mayRenew = new RateLimit(limit);
    this.#lastBeatAt = deps.clock.monotonic();
  }

  async run(): Promise<void> {
    const { session, stream } = this.live;
    this.#schedule();
    // Between admission and now we may have measured something new.
    if (this.live.ours.statement() !== this.#stated) this.announce();
    while (session.state === 'live') {
      const message = await stream.next();
      if (message === undefined && this.#superseded) return;
      const cause = message === undefined ? this.#endOfStream() : await this.#judge(message);
      if (cause !== undefined) this.#deps.registry.end(session, cause);
    }
  }

  stop(): void {
    this.#cancelBeat?.();
  }

  /** Another control connection has taken the place of this one. */
  supersede(): void {
    this.#superseded = true;
    this.#cancelBeat?.();
  }

  announce(): void {
    // Peers allow two proofs a second. If we change faster than that, the last state is what counts.
    const sinceLast = this.#deps.clock.monotonic() - this.#lastBeatAt;
    const spacing = 1000 / PROOFS_PER_SECOND;
    if (sinceLast >= spacing || this.#burst > 0) {
      if (sinceLast < spacing) this.#burst -= 1;
      this.#beat();
    } else this.#schedule(spacing - sinceLast);
  }

  #burst = PROOF_BURST / 2;

  #beat(): void {
    try {
      this.#prove();
    } catch (error) {
      // A proof that cannot be made is no proof; the session must not outlive it, nor the process end with it.
      this.#deps.logger.error('defect', { what: 'proving ourselves', error });
      this.#deps.registry.end(
        this.live.session,
        rejection('PROOF_INVALID', 'we could not prove ourselves; see the log'),
      );
    }
  }

  #prove(): void {
    const { session, stream, ours, proofs } = this.live;
    if (session.state !== 'live' || this.#superseded) return;
    const statement = ours.statement();
    if (statement.ait !== this.#stated.ait) stream.send({ aitUpdate: { ait: statement.ait } });
    this.#stated = statement;
    const jws = proofs.next(statement, this.#deps.clock.now());
    stream.send({ heartbeat: { jws, draining: this.#draining() } });
    this.#lastBeatAt = this.#deps.clock.monotonic();
    this.#schedule();
  }

  #schedule(delayMs?: number): void {
    const { timing, random } = this.#deps;
    const jittered = timing.heartbeatMs * (1 - JITTER + 2 * JITTER * random.uniform());
    this.#cancelBeat?.();
    const run = () => {
      if (delayMs === undefined) this.#burst = PROOF_BURST / 2;
      this.#beat();
    };
    this.#cancelBeat = after({ delayMs: delayMs ?? jittered, run, keepAlive: false });
  }

  #endOfStream(): Rejection {
    const { overflowed } = this.live.stream;
    return overflowed
      ? rejection('PROTOCOL_ERROR', 'the peer sends faster than its messages can be judged')
      : rejection('PEER_LOST', 'the control stream ended without a goodbye');
  }

  /** One message of a live session. Order matters: a proof refers to the token that was sent before it. */
  async #judge(message: IncomingMessage): Promise<Rejection | undefined> {
    const ending = message.goodbye ?? message.reject;
    if (ending !== null && ending !== undefined) return refusedBy(ending, 'PEER_ENDED');
    // What counts from now on is said on the connection that came after; only an end still comes from the one before.
    if (this.#superseded) return undefined;
    if (message.heartbeat !== null && message.heartbeat !== undefined) {
      const { jws, draining } = message.heartbeat;
      const cause = this.#judgeProof(jws);
      if (cause === undefined && draining) this.#deps.onPeerDraining(this.live.session);
      return cause;
    }
    if (message.aitUpdate !== null && message.aitUpdate !== undefined) return this.#judgeToken(message.aitUpdate.ait);
    const { session } = this.live;
    if (session.role === 'dialler' && 'reconnect' in message && message.reconnect !== null) {
      this.#deps.continueSession(session);
      return undefined;
    }
    return rejection('PROTOCOL_ERROR', `${message.message ?? 'an empty message'} has no place in a live session`);
  }

  #judgeProof(jws: string): Rejection | undefined {
    const { session, checker } = this.live;
    const { registry, clock, metrics, decisions } = this.#deps;
    if (!this.#mayProve.take()) return rejection('PROTOCOL_ERROR', `more than ${PROOFS_PER_SECOND} proofs a second`);
    const proof = checker.check(jws, this.#peerToken);
    if (!proof.ok) return rejection('PROOF_INVALID', proof.detail);
    session.heardAt = clock.monotonic();
    metrics.clockSkew.set(
      { peer: decisions.peerLabel(session.peer) },
      proof.claims.iat - Math.floor(clock.now() / 1000),
    );
    return registry.reconsider(session, { measurement: proof.claims.measurement });
  }

  async #judgeToken(ait: string): Promise<Rejection | undefined> {
    const { session } = this.live;
    if (!this.#mayRenew.take()) return rejection('PROTOCOL_ERROR', `more than ${PROOFS_PER_SECOND} tokens a second`);
    const token = await this.#deps.ports.verifyToken({ compact: ait });
    if (isRejectionValue(token)) return token;
    this.#peerToken = token;
    return this.#deps.registry.reconsider(session, { token });
  }
}
