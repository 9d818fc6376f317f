import { chmod, mkdir } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import type { SpiffeId } from '../domain/agent-id.ts';
import type { Rejection, RejectionCode } from '../domain/rejection.ts';
import { clearStaleSocket } from '../platform/admin-socket.ts';
import type { Component } from '../platform/component.ts';
import { contain } from '../platform/contain.ts';
import type { Logger } from '../platform/logger.ts';
import { resetSocket } from '../platform/reset-socket.ts';
import { listen } from '../platform/listen-address.ts';
import type { SessionCalls } from './calls/session-calls.ts';
import { dialData, type DataDiallerDeps } from './data/data-dialler.ts';
import type { DecisionLog } from './decision-log.ts';
import { parseLocalAddress } from './local-address.ts';
import type { SessionContinuity } from './session/session-continuity.ts';
import type { SessionPool } from './session/session-pool.ts';
import type { SidecarMetrics } from './sidecar-metrics.ts';

export interface OutboundOptions extends DataDiallerDeps {
  readonly peer: SpiffeId;
  /** `unix:/path` or `host:port` on loopback; port 0 lets the system choose. */
  readonly listen: string;
  /** Mode of a unix socket, for example 0o660. */
  readonly socketMode: number;
  readonly pool: SessionPool;
  readonly continuity: SessionContinuity;
  readonly metrics: SidecarMetrics;
  readonly calls: SessionCalls;
  readonly decisions: DecisionLog;
  readonly logger: Logger;
}

/** Each costs two sockets and what they buffer; beyond that the system keeps callers waiting. */
const MAX_CONNECTIONS = 8192;

/** What a data connection meets when the instance of its session is no longer what it was at the exchange. */
const MOVED_ON: ReadonlySet<RejectionCode> = new Set([
  'UNEXPECTED_PEER',
  'WRONG_INSTANCE',
  'PEER_UNREACHABLE',
  'DATA_SESSION_UNKNOWN',
  'DATA_PREFACE_INVALID',
  'TLS_HANDSHAKE_FAILED',
  'PEER_LOST',
]);

/** One that goes away in good order may be gone before our connection is there. */
function movedOn({ code, peerSaid }: Rejection): boolean {
  return MOVED_ON.has(code) || peerSaid?.reason === 'DRAINING';
}

/** Attempts to place one connection of the agent, of which nothing has been read yet, where nobody is to blame. */
const ATTEMPTS = 3;

/** Where the agent calls one peer: a plaintext socket beside it, whose connections travel through the mesh. */
export class Outbound implements Component {
  readonly name: string;
  readonly #options: OutboundOptions;
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;
  #address = '';

  constructor(options: OutboundOptions) {
    this.name = `outbound to ${options.peer}`;
    this.#options = options;
  }

  /** As bound: `unix:/path` or `host:port`. */
  get address(): string {
    return this.#address;
  }

  async start(): Promise<void> {
    const { socketMode } = this.#options;
    const address = parseLocalAddress(this.#options.listen);
    if ('path' in address) {
      await mkdir(dirname(address.path), { recursive: true });
      await clearStaleSocket(address.path);
    }
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, (agent) => {
      this.#sockets.add(agent);
      agent.once('close', () => this.#sockets.delete(agent));
      agent.on('error', () => undefined);
      const giveUp = () => agent.destroy();
      contain(this.#carry(agent), { logger: this.#options.logger, what: 'carrying a connection', giveUp });
    });
    server.maxConnections = MAX_CONNECTIONS;
    this.#server = server;
    const bound = await listen(server, address, this.name);
    this.#address = 'path' in address ? `unix:${bound}` : bound;
    if ('path' in address) await chmod(address.path, socketMode);
  }

  /** Takes no more connections; those that are open go on. */
  refuseNew(): void {
    this.#server?.close();
  }

  async stop(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    await new Promise<void>((resolve) => {
      server.close(() => resolve());
      for (const socket of this.#sockets) resetSocket(socket);
    });
  }

  /** One connection of the agent, unread until the peer has accepted it. */
  async #carry(agent: Socket): Promise<void> {
    const { pool, peer, registry, metrics, decisions, calls, continuity } = this.#options;
    for (let attempt = 1; ; attempt += 1) {
      const pooled = await pool.sessionTo(peer);
      if (!pooled.ok) {
        this.#refuse(agent, '', pooled.cause);
        return;
      }
      const { session } = pooled;
      const dialled = await dialData(session, agent, this.#options);
      if (dialled.ok) {
        await dialled.connection.carry(session, { registry, metrics, decisions, calls, direction: 'outbound' });
        return;
      }
      // Not a byte has passed. The instance has another certificate now, or is gone: a new exchange will tell.
      const isContinued = dialled.hasRotated === true && (await continuity.now(session));
      const isElsewhere = !isContinued && movedOn(dialled.cause);
      if (isElsewhere) pool.retire(session);
      const attempts = pool.gaveUpLeaving(session) || isContinued ? ATTEMPTS : isElsewhere ? 2 : 1;
      if (attempt >= attempts || agent.destroyed) {
        this.#refuse(agent, session.correlationId, dialled.cause);
        return;
      }
    }
  }

  /** The agent gets a connection error at once, which gRPC reports as UNAVAILABLE; the reason is in the log. */
  #refuse(agent: Socket, correlationId: string, cause: Rejection): void {
    const { decisions, peer, listen } = this.#options;
    decisions.refused({ correlationId, subject: peer, direction: 'outbound', remoteAddress: listen, cause });
    resetSocket(agent);
  }
}
