import type { Rejection } from '../../domain/rejection.ts';
import type { UpstreamConnection } from './upstream-connection.ts';

/** Longer than this, in ms, a connection does not wait: whatever stands in between may have forgotten it by then. */
const MAX_IDLE_MS = 60_000;
/** As many wait for the next calls. */
const MAX_IDLE = 64;

/** The connections to one upstream: those that carry a call, and some that wait for the next. */
export class ConnectionPool<Connection extends UpstreamConnection> {
  readonly #all = new Set<Connection>();
  /** The one used last is at the end, and used first: it is the least likely to have been closed by the other side. */
  #idle: Connection[] = [];

  get all(): ReadonlySet<Connection> {
    return this.#all;
  }

  /** From now on it ends with the others. Whoever adds it has it, and gives it back. */
  add(connection: Connection): void {
    this.#all.add(connection);
  }

  /** A connection for one request, to be given back. `undefined` where none waits. */
  take(): Connection | undefined {
    for (let connection = this.#idle.pop(); connection !== undefined; connection = this.#idle.pop()) {
      if (connection.open && connection.idleMs <= MAX_IDLE_MS) return connection;
      connection.close();
    }
    return undefined;
  }

  giveBack(connection: Connection): void {
    if (!connection.open || this.#idle.length >= MAX_IDLE) connection.close();
    else this.#idle.push(connection);
  }

  gone(connection: Connection): void {
    this.#all.delete(connection);
    this.#idle = this.#idle.filter((each) => each !== connection);
  }

  /** Closes those that have waited for too long. */
  prune(): void {
    const old = this.#idle.filter(({ idleMs }) => idleMs > MAX_IDLE_MS);
    if (old.length === 0) return;
    this.#idle = this.#idle.filter((each) => !old.includes(each));
    for (const connection of old) connection.close();
  }

  /** Closes all that wait, which nobody misses. */
  closeIdle(): void {
    for (const connection of this.#idle.splice(0)) connection.close();
  }

  endAll(cause: Rejection): void {
    for (const connection of this.#all) connection.end(cause);
  }
}
