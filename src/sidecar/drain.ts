import { rejection } from '../domain/rejection.ts';
import type { Clock } from '../platform/clock.ts';
import type { Logger } from '../platform/logger.ts';
import type { SessionRegistry } from './session/session-registry.ts';

export interface DrainOptions {
  readonly registry: SessionRegistry;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly listeners: readonly { refuseNew(): void }[];
  /** How long open connections may go on, in ms. */
  readonly withinMs: number;
}

/** Going away in good order: nothing new, what is open may finish for a while, then the peers are told and all ends. */
export async function drainConnections({ registry, logger, clock, listeners, withinMs }: DrainOptions): Promise<void> {
  const open = () => registry.all().reduce((sum, session) => sum + session.connections.size, 0);
  logger.info('sidecar_draining', { connections: open(), withinMs });
  for (const listener of listeners) listener.refuseNew();
  const until = clock.monotonic() + withinMs;
  for (let left = withinMs; open() > 0 && left > 0; left = until - clock.monotonic()) {
    await registry.nextRelease(left);
  }
  const sessions = registry.all();
  registry.endAll(rejection('PEER_DRAINING', 'this sidecar is shutting down'));
  for (const { connections } of sessions) for (const connection of connections) connection.reset();
}
