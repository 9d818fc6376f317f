import { after, type Clock } from '../../platform/clock.ts';
import type { Rejection } from '../../domain/rejection.ts';
import type { FrameOutput } from '../http2/frame-output.ts';
import type { TunnelEnd, TunnelOutcome } from '../tunnel.ts';
import { Gate, type GateOptions } from './gate.ts';

/** Bytes for one side that wait for it to read; beyond that nothing more is read of the other. */
const MAX_WAITING = 262_144;
/** So long may the last words to an end take to leave, ms. */
const LAST_WORDS_MS = 50;
/** The peer resets its connections before it says why: so long may its word take to arrive, ms. */
const REASON_MS = 100;
/** One end is gone in good order: so long may the other take to get rid of what it still has to deliver, ms. */
const LINGER_MS = 5000;
/** Silence after which a connection with nothing under way may be closed, ms. */
const QUIET_MS = 250;
/** The same for one whose client has not opened a stream yet: its first call may be on its way. */
const UNUSED_MS = 2000;
/**
 * A connection is at least so old before its client is asked to leave, ms: who was sent away by one connection tries again
 * on the next, and a gRPC client does so once, not twice in a row.
 */
const SETTLED_MS = 1000;
const LOOK_MS = 1000;

export interface GatedEnds {
  readonly client: TunnelEnd;
  /** `undefined`: it is found out by the first call who that is; then {@link GatedConnection.attach} has to be called. */
  readonly server: TunnelEnd | undefined;
}

export interface GatedConnectionOptions extends GateOptions {
  /** The first call has been permitted, and waits for the callee's end. */
  readonly onFirstCall?: () => void;
}

/** Every gate that is open: one timer looks after all. */
const open = new Set<GatedConnection>();
let looking: NodeJS.Timeout | undefined;

/**
 * One HTTP/2 connection of an agent, carried to the other side through a {@link Gate}: sockets, backpressure and ends.
 * Both streams must allow half-open connections.
 */
export class GatedConnection {
  /** How it ended, when both ends are closed; never rejects. */
  readonly over: Promise<TunnelOutcome>;
  readonly #gate: Gate;
  readonly #client: TunnelEnd;
  #server: TunnelEnd | undefined;
  readonly #options: GatedConnectionOptions;
  readonly #clock: Clock;
  #isWaiting: boolean;
  readonly #openedAt: number;
  #resolve: (outcome: TunnelOutcome) => void = () => undefined;
  #failed = false;
  #closed = 0;
  #finishing = false;
  #quietSince: number;
  #cancelLook = (): void => undefined;
  #cancelLinger = (): void => undefined;
  #cancelReason = (): void => undefined;

  constructor({ client, server }: GatedEnds, options: GatedConnectionOptions) {
    this.#client = client;
    this.#server = server;
    this.#options = options;
    this.#clock = options.clock;
    this.#gate = new Gate(options);
    this.#isWaiting = server === undefined;
    this.#openedAt = this.#quietSince = options.clock.monotonic();
    this.over = new Promise((resolve) => (this.#resolve = resolve));
    this.#attend(client, (chunk) => this.#gate.fromClient(chunk));
    if (server !== undefined) this.#attend(server, (chunk) => this.#gate.fromServer(chunk));
    open.add(this);
    looking ??= setInterval(lookAtAll, LOOK_MS).unref();
  }

  /** The callee's end, for a connection that was opened without one. It gets what has been waiting for it. */
  attach(server: TunnelEnd): void {
    this.#server = server;
    this.#attend(server, (chunk) => this.#gate.fromServer(chunk));
    this.#flush();
  }

  /** Ends every call with its status, in good order: for a connection whose callee cannot be had. */
  refuse(rejection: Rejection, correlationId: string): void {
    this.#gate.end(rejection, correlationId === '' ? {} : { correlationId });
    this.#flush();
  }

  /** Permissions have changed. */
  reconsider(): void {
    this.#gate.reconsider();
    this.#flush();
  }

  timePassed(): void {
    this.#gate.timePassed();
    this.#flush();
  }

  /**
   * Ends every call with its status, at once. Our own agent gets these as its last words, unless it has not even read what
   * came before; the end that leads to the peer is for the caller of this method to reset.
   *
   * @param how which end is that of our own agent, and under which id the end of the calls is on record
   */
  cut(rejection: Rejection, { agentIs, correlationId }: { agentIs: 'client' | 'server'; correlationId: string }): void {
    this.#failed = true;
    const agent = agentIs === 'client' ? this.#client : this.#server;
    if (agent === undefined) return;
    const reads = agent.stream.writableLength === 0 && !agent.stream.writableEnded;
    this.#gate.end(rejection, { correlationId });
    const { toClient, toServer } = this.#gate.core;
    const words = agentIs === 'client' ? toClient.take() : toServer.take();
    (agentIs === 'client' ? toServer : toClient).take();
    if (!reads || agent.stream.destroyed) {
      agent.reset();
      return;
    }
    write(agent, words);
    agent.stream.end();
    const timer = setTimeout(() => agent.reset(), LAST_WORDS_MS);
    agent.stream.once('close', () => clearTimeout(timer));
    agent.stream.once('finish', () => {
      clearTimeout(timer);
      agent.stream.destroy();
    });
  }

  /** Lets what is under way finish, takes nothing new, then closes both ends. A second call changes nothing. */
  finish(): void {
    if (this.#finishing) return;
    this.#finishing = true;
    this.#quietSince = this.#clock.monotonic();
    this.#look();
  }

  /** One end's bytes into the gate, and its ends and errors. */
  #attend(end: TunnelEnd, take: (chunk: Buffer) => void): void {
    const { stream } = end;
    stream.on('data', (chunk: Buffer) => {
      take(chunk);
      if (this.#finishing) this.#quietSince = this.#clock.monotonic();
      this.#flush();
    });
    stream.on('drain', () => this.#regulate());
    stream.on('error', () => this.#broke(end));
    stream.once('end', () => this.#ended(end));
    stream.once('close', () => this.#closedOne(end));
    // One that was destroyed before may have said so already.
    if (stream.destroyed) queueMicrotask(() => this.#closedOne(end));
  }

  #closedOne(end: TunnelEnd): void {
    // A stream that closes without having ended both ways was cut off.
    if (!end.stream.readableEnded || !end.stream.writableFinished) this.#broke(end);
    this.#closed += 1;
    if (this.#closed === (this.#server === undefined ? 1 : 2)) this.#finish();
    else this.#linger(this.#other(end));
  }

  #other(end: TunnelEnd): TunnelEnd | undefined {
    return end === this.#client ? this.#server : this.#client;
  }

  #linger(end: TunnelEnd | undefined): void {
    this.#cancelLinger();
    this.#cancelLinger = after({ delayMs: LINGER_MS, run: () => end?.reset(), keepAlive: false });
  }

  #finish(): void {
    open.delete(this);
    this.#cancelLook();
    this.#cancelLinger();
    this.#cancelReason();
    // Whoever was still waiting has gone with the sockets; those who count calls are told.
    this.#gate.clientGone();
    this.#resolve(this.#failed ? 'reset' : 'finished');
  }

  /** An end has no more to say. HTTP/2 has no half-closed connections: nothing more can come of either. */
  #ended(end: TunnelEnd): void {
    if (end === this.#client) this.#gate.clientGone();
    else this.#gate.end(this.#options.calleeGone());
    this.#flush();
  }

  #broke(end: TunnelEnd): void {
    // Whoever has had its say, and went, need not hear our last words.
    if (this.#failed || (this.#gate.over && end.stream.readableEnded)) return;
    this.#failed = true;
    end.reset();
    this.#linger(this.#other(end));
    if (end === this.#client || this.#options.direction === 'inbound' || this.#gate.openCalls === 0) this.#ended(end);
    // Most likely it ends the whole session, and then its calls are cut for what the peer says.
    else this.#cancelReason = after({ delayMs: REASON_MS, run: () => this.#ended(end), keepAlive: false });
  }

  /** Writes what the gate has to say, closes what it has ended, and reads no faster than is written. */
  #flush(): void {
    const { core, over } = this.#gate;
    send(this.#client, core.toClient);
    if (this.#server !== undefined) send(this.#server, core.toServer);
    if (over) {
      for (const end of [this.#client, this.#server]) if (end?.stream.writableEnded === false) end.stream.end();
      return;
    }
    if (this.#isWaiting && core.highestForwarded > 0) {
      this.#isWaiting = false;
      this.#options.onFirstCall?.();
    }
    this.#regulate();
  }

  #regulate(): void {
    if (this.#gate.over) return;
    const client = this.#client.stream;
    if (this.#server === undefined) {
      // What comes before the callee is there is held; it is no more than came with the first call.
      if (!this.#isWaiting) client.pause();
      return;
    }
    regulate(client, this.#server.stream);
    regulate(this.#server.stream, client);
  }

  #look(): void {
    this.#cancelLook();
    const gate = this.#gate;
    if (gate.over) return;
    const now = this.#clock.monotonic();
    const used = gate.core.highest > 0;
    const youngMs = this.#openedAt + SETTLED_MS - now;
    if (used && youngMs <= 0 && !gate.core.leaving) {
      gate.askToLeave();
      this.#flush();
      this.#quietSince = now;
    }
    const leftMs = this.#quietSince + (used ? QUIET_MS : UNUSED_MS) - now;
    if (leftMs <= 0 && (!used || gate.core.leaving)) {
      // Long enough for every stream that was opened before the client heard us.
      gate.acceptNoMore();
      this.#flush();
      if (gate.openCalls === 0 && this.#delivered()) {
        gate.clientGone();
        this.#flush();
        return;
      }
    }
    this.#cancelLook = after({
      delayMs: Math.max(QUIET_MS / 2, leftMs),
      run: () => this.#look(),
      keepAlive: false,
      clock: this.#clock,
    });
  }

  #delivered(): boolean {
    return this.#client.stream.writableLength === 0 && (this.#server?.stream.writableLength ?? 0) === 0;
  }
}

function lookAtAll(): void {
  for (const connection of open) connection.timePassed();
  if (open.size > 0) return;
  clearInterval(looking);
  looking = undefined;
}

function send(to: TunnelEnd, output: FrameOutput): void {
  if (output.length > 0) write(to, output.take());
}

function write({ stream }: TunnelEnd, pieces: readonly Buffer[]): void {
  if (stream.writableEnded || stream.destroyed) return;
  if (pieces.length === 1) {
    stream.write(pieces[0]);
    return;
  }
  stream.cork();
  for (const piece of pieces) stream.write(piece);
  stream.uncork();
}

/** Reads of one end as long as the other takes what comes of it, and does not owe us the reading of our own words. */
function regulate(from: TunnelEnd['stream'], to: TunnelEnd['stream']): void {
  const mayRead = !to.writableNeedDrain && from.writableLength < MAX_WAITING;
  if (mayRead === from.isPaused()) {
    if (mayRead) from.resume();
    else from.pause();
  }
}
