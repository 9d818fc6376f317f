import { connect } from 'node:net';
import { after } from '../../platform/clock.ts';
import type { Component } from '../../platform/component.ts';
import { contain } from '../../platform/contain.ts';
import type { Logger } from '../../platform/logger.ts';
import type { Readiness } from '../../platform/readiness.ts';
import { parseLocalAddress } from '../local-address.ts';
import { findWaysAround } from './ways-around.ts';

export interface AppWatchOptions {
  readonly logger: Logger;
  readonly readiness: Readiness;
  /** The agent's own listener as it is configured at the moment; `undefined`: it takes no calls. */
  readonly app: () => AppSettings | undefined;
}

export interface AppSettings {
  /** `unix:/path` or `host:port` on loopback. */
  readonly address: string;
  /** Whether an agent that listens on more than loopback is only warned of. */
  readonly allow_reachable: boolean;
}

/** What depends on the agent's own listener: without these, a sidecar is usable before its agent is up. */
export const APP_BLOCKERS: ReadonlySet<string> = new Set(['app', 'app_reachable']);

/** How often to look whether the agent listens while it does not, and while it does; milliseconds. */
const LOOK_FOR_MS = 500;
const LOOK_AFTER_MS = 30_000;
const CONNECT_TIMEOUT_MS = 2_000;

/**
 * Whether our agent listens where we would call it, and whether it can be called without us. The first is found out by
 * connecting: twice a second while nobody answers, else every 30 s and when a call did not get through. The second is
 * looked up in the kernel's tables each time the agent was found to listen: it must not wait for a call.
 */
export class AppWatch implements Component {
  readonly name = 'app';
  readonly #options: AppWatchOptions;
  #cancel = (): void => undefined;
  #looking = false;
  #stopped = true;
  #reachableBefore = '';
  #saidUnknown = false;

  constructor(options: AppWatchOptions) {
    this.#options = options;
  }

  start(): Promise<void> {
    this.#stopped = false;
    this.changed();
    return Promise.resolve();
  }

  stop(): Promise<void> {
    this.#stopped = true;
    this.#cancel();
    return Promise.resolve();
  }

  /** Another address is configured, or the same under other conditions. */
  changed(): void {
    if (this.#stopped) return;
    const { app, readiness } = this.#options;
    const settings = app();
    this.#cancel();
    this.#reachableBefore = '';
    if (settings === undefined) {
      for (const name of APP_BLOCKERS) readiness.clear(name);
      return;
    }
    readiness.block('app', `nobody has been found listening at ${settings.address} yet`);
    this.#lookSoon(0);
  }

  /** A call could not be handed to the agent. */
  unreached(detail: string): void {
    if (this.#stopped || this.#options.app() === undefined) return;
    this.#down(detail);
    // Not now: every call that fails would have us try again.
    if (!this.#looking) this.#lookSoon(LOOK_FOR_MS);
  }

  #lookSoon(delayMs: number): void {
    this.#cancel();
    this.#cancel = after({ delayMs, run: () => this.#lookContained(), keepAlive: false });
  }

  #lookContained(): void {
    const giveUp = () => {
      this.#looking = false;
      this.#lookSoon(LOOK_AFTER_MS);
    };
    contain(this.#look(), { logger: this.#options.logger, what: 'looking after the agent', giveUp });
  }

  async #look(): Promise<void> {
    const settings = this.#options.app();
    if (this.#stopped || this.#looking || settings === undefined) return;
    this.#looking = true;
    const failure = await tryConnect(settings.address);
    const around = failure === undefined ? await findWaysAround(settings.address) : [];
    this.#looking = false;
    if (this.#stopped) return;
    // The configuration may have changed meanwhile: that answer was to another question.
    if (this.#options.app() !== settings) {
      this.changed();
      return;
    }
    if (failure === undefined) {
      // First what may stand in the way, so that there is no moment of readiness between the two.
      this.#judgeWaysAround(settings, around);
      this.#options.readiness.clear('app');
    } else this.#down(failure);
    this.#lookSoon(failure === undefined ? LOOK_AFTER_MS : LOOK_FOR_MS);
  }

  #down(detail: string): void {
    const address = this.#options.app()?.address ?? '';
    this.#options.readiness.block('app', `the agent does not listen at ${address}: ${detail}`);
  }

  #judgeWaysAround(settings: AppSettings, around: readonly string[] | undefined): void {
    const { logger, readiness } = this.#options;
    if (around === undefined) {
      // No such tables on this system: this check is one that can only be made on Linux.
      if (!this.#saidUnknown) logger.warn('app_reachability_unknown', { reason: '/proc/net/tcp cannot be read' });
      this.#saidUnknown = true;
      return;
    }
    const places = around.join(', ');
    const changed = places !== this.#reachableBefore;
    this.#reachableBefore = places;
    if (places === '') {
      readiness.clear('app_reachable');
      return;
    }
    const action = 'have the agent listen on 127.0.0.1 or a unix socket';
    if (settings.allow_reachable) {
      readiness.clear('app_reachable');
      if (changed) logger.warn('app_reachable_around_sidecar', { addresses: around, action });
      return;
    }
    const blocked = `the agent can be reached around this sidecar, at ${places}: ${action}, or set app.allow_reachable: true`;
    readiness.block('app_reachable', blocked);
    if (changed) logger.error('app_reachable_around_sidecar', { addresses: around, action });
  }
}

/** @returns why nobody could be reached there; `undefined`: somebody was. */
function tryConnect(address: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect(parseLocalAddress(address));
    const done = (failure?: string) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(failure);
    };
    const timer = setTimeout(() => done(`no connection within ${CONNECT_TIMEOUT_MS} ms`), CONNECT_TIMEOUT_MS);
    socket.once('connect', () => done());
    socket.on('error', (error) => done(error.message));
  });
}
