import { rejection } from '../domain/rejection.ts';
import { after, type Clock } from '../platform/clock.ts';
import type { Logger } from '../platform/logger.ts';
import { LAST_WORDS_MS } from './exchange/control-stream.ts';
import type { SessionRegistry } from './session/session-registry.ts';

export interface DrainOptions {
  readonly registry: SessionRegistry;
  readonly logger: Logger;
  readonly clock: Clock;
  /** Tells every peer that we have a session with. */
  readonly tellPeers: () => void;
  /** Tells the authority; resolves when it knows, or cannot be told. */
  readonly tellAuthority: () => Promise<void>;
  /** Refuses new connections of peers, telling them why. */
  readonly refusePeers: () => void;
  readonly listeners: readonly { refuseNew(): void }[];
  /** How long open connections may go on, in ms. */
  readonly withinMs: number;
  /** Ends it at once when it aborts: somebody is in a hurry. */
  readonly cut: AbortSignal;
}

/** A drain is over when no connection has been open for so long: those that peers are just opening are served. */
const QUIET_MS = 250;
/** Peers that have nobody else are served for so long; after that they have to wait for a successor, or never would. */
const SERVED_MS = 2000;
/** So long the authority has to take note, also where nothing is open. */
const TELL_MS = 1000;

/**
 * Going away in good order. Everybody is told and no new session is accepted, while peers that have not heard it yet may
 * still open connections for a moment; what is open finishes what is under way. Our own agent, which has nobody else to
 * turn to, is served to the end. Whatever is left when the time is over is reset.
 */
export async function drainConnections(options: DrainOptions): Promise<void> {
  const { registry, logger, listeners, withinMs, cut } = options;
  logger.info('sidecar_draining', { connections: openIn(registry), sessions: registry.live().length, withinMs });
  registry.drain();
  options.tellPeers();
  const told = atMost(TELL_MS, options.tellAuthority(), cut);
  const stopServing = after({ delayMs: SERVED_MS, run: () => options.refusePeers(), keepAlive: false });
  await untilQuiet(options);
  stopServing();
  await told;
  for (const listener of listeners) listener.refuseNew();
  const sessions = registry.all();
  logger.info('sidecar_drained', { connectionsReset: openIn(registry), cut: cut.aborted });
  registry.endAll(rejection('PEER_DRAINING', 'this sidecar is shutting down'));
  for (const { connections } of sessions) for (const connection of connections) connection.reset();
  const said = Promise.all(sessions.map(({ control }) => control.closed)).then(() => undefined);
  await atMost(LAST_WORDS_MS, said, cut);
}

async function untilQuiet({ registry, clock, withinMs, cut }: DrainOptions): Promise<void> {
  const until = clock.monotonic() + withinMs;
  for (let leftMs = withinMs; leftMs > 0 && !cut.aborted; leftMs = until - clock.monotonic()) {
    const open = openIn(registry) > 0;
    // Without a session nobody can open a connection.
    if (!open && registry.live().length === 0) return;
    const changed = await registry.nextChange(open ? leftMs : Math.min(QUIET_MS, leftMs), cut);
    if (!open && !changed) return;
  }
}

function openIn(registry: SessionRegistry): number {
  return registry.all().reduce((sum, { connections }) => sum + connections.size, 0);
}

function atMost(delayMs: number, work: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      cancel();
      signal.removeEventListener('abort', done);
      resolve();
    };
    const cancel = after({ delayMs, run: done });
    signal.addEventListener('abort', done);
    void work.finally(done);
    if (signal.aborted) done();
  });
}
