import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { isMeshError } from '../domain/mesh-error.ts';
import { after, type Clock } from '../platform/clock.ts';
import type { Component } from '../platform/component.ts';
import { ConfigError } from '../platform/config-source.ts';
import { watchPaths } from '../platform/file-watch.ts';
import type { Logger } from '../platform/logger.ts';
import type { SidecarConfig } from './config.ts';
import type { ConfigPlan, LiveConfig } from './live-config.ts';
import type { OutboundSet } from './outbound-set.ts';
import type { SidecarMetrics } from './sidecar-metrics.ts';

/** Where the configuration comes from, for a sidecar that takes changes of it while it runs. */
export interface ConfigSource {
  /** The file that is watched. */
  readonly file: string;
  /**
   * Reads and validates all of it: file, environment, flags.
   *
   * @throws ConfigError with all problems
   */
  readonly load: () => SidecarConfig;
}

export interface ConfigReloadOptions {
  readonly source: ConfigSource | undefined;
  readonly live: LiveConfig;
  readonly outbound: OutboundSet;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: SidecarMetrics;
  /** Something has changed; the plan is in force. */
  readonly onApplied: (plan: ConfigPlan) => void;
}

/** How the configuration on disk and the one in force stand to each other. */
export interface ReloadStatus {
  /** Milliseconds since the epoch, when the file was last looked into; `undefined`: not since the start. */
  readonly at: number | undefined;
  /** Why the file on disk is not in force, one line each; empty: it is. */
  readonly problems: readonly string[];
  /** Settings that differ on disk and count only after a restart. */
  readonly needsRestart: readonly string[];
}

/** Two reads so far apart must agree, in ms: a file being written is no configuration. */
const SETTLE_MS = 50;
/** After so many unsettled reads the file is left to the next event or timer. */
const MAX_UNSETTLED = 40;
/** How often the file is read though no event came, in ms. */
const INTERVAL_MS = 30_000;

/**
 * Takes the configuration's file into force again when it changes. It counts as a whole: where anything is wrong with
 * it, all of what was in force stays in force, and the problems are told. Changes by event, by timer and on demand.
 */
export class ConfigReload implements Component {
  readonly name = 'configuration';
  readonly #options: ConfigReloadOptions;
  #unwatch = (): void => undefined;
  #cancelTimer = (): void => undefined;
  #stopped = true;
  /** What the file said when it was last looked into; `undefined`: it could not be read. */
  #text: string | undefined;
  #queue: Promise<void> = Promise.resolve();
  #status: ReloadStatus = { at: undefined, problems: [], needsRestart: [] };

  constructor(options: ConfigReloadOptions) {
    this.#options = options;
  }

  get status(): ReloadStatus {
    return this.#status;
  }

  async start(): Promise<void> {
    const { source, logger } = this.#options;
    if (source === undefined) return;
    this.#stopped = false;
    this.#unwatch = watchPaths({ paths: [source.file], onChange: () => void this.#look(), logger });
    this.#text = await this.#read();
    // It may have changed since the process read it: compared with what is in force, not with that text.
    await this.#reload('start');
    this.#armTimer();
  }

  /** No change is taken any more, and none is half taken. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#unwatch();
    this.#cancelTimer();
    await this.#queue;
  }

  /** Reads the file again, because somebody says so. Never rejects. */
  reload(): Promise<void> {
    return this.#inTurn(async () => {
      this.#text = await this.#settled();
      await this.#reload('request');
    });
  }

  #look(): Promise<void> {
    return this.#inTurn(async () => {
      const text = await this.#settled();
      if (text === this.#text || this.#stopped) return;
      this.#text = text;
      await this.#reload('change');
    });
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const { logger } = this.#options;
    this.#queue = this.#queue.then(async () => {
      if (this.#stopped) return;
      await work().catch((error: unknown) => logger.error('defect', { what: 'reading the configuration', error }));
    });
    return this.#queue;
  }

  async #reload(why: 'start' | 'change' | 'request'): Promise<void> {
    const { source, live, outbound, clock, logger, metrics, onApplied } = this.#options;
    if (source === undefined) return;
    const at = clock.now();
    try {
      const plan = live.plan(source.load());
      const { changed, needsRestart } = plan;
      // The one thing that can still fail comes first.
      const takeListeners = await outbound.prepare(plan.peers);
      live.apply(plan);
      takeListeners();
      this.#status = { at, problems: [], needsRestart };
      if (changed.length > 0) onApplied(plan);
      if (needsRestart.length > 0) logger.warn('config_needs_restart', { settings: needsRestart });
      if (changed.length > 0 || why === 'request') logger.info('config_applied', { changed, needsRestart });
      if (why !== 'start') metrics.configReloads.add({ result: 'applied' });
    } catch (error) {
      if (!isMeshError(error)) throw error;
      const problems = problemsOf(error);
      this.#status = { ...this.#status, at, problems };
      logger.error('config_refused', { problems, action: 'correct the file; until then the settings of before count' });
      metrics.configReloads.add({ result: 'refused' });
    }
    metrics.configProblems.set(this.#status.problems.length);
    metrics.configRestartNeeded.set(this.#status.needsRestart.length);
  }

  async #settled(): Promise<string | undefined> {
    let text = await this.#read();
    for (let attempt = 0; attempt < MAX_UNSETTLED; attempt += 1) {
      await sleep(SETTLE_MS);
      const again = await this.#read();
      if (again === text) break;
      text = again;
    }
    return text;
  }

  /** What cannot be read is told by {@link ConfigSource.load}. */
  async #read(): Promise<string | undefined> {
    return readFile(this.#options.source?.file ?? '', 'utf8').catch(() => undefined);
  }

  #armTimer(): void {
    this.#cancelTimer = after({
      delayMs: INTERVAL_MS,
      keepAlive: false,
      run: () => {
        void this.#look().then(() => {
          if (!this.#stopped) this.#armTimer();
        });
      },
    });
  }
}

function problemsOf(error: Error): readonly string[] {
  if (!(error instanceof ConfigError)) return [error.message];
  return error.problems.map(({ path, message, source }) => `${path === '' ? '' : `${path}: `}${message} (${source})`);
}
