import { watch, type FSWatcher } from 'node:fs';
import { basename } from 'node:path';
import { after } from './clock.ts';
import type { Logger } from './logger.ts';
import { followPath, type Trail } from './path-trail.ts';

export interface WatchPathsOptions {
  /** Files or directories, existing or not. A directory counts as changed when an entry directly in it does. */
  readonly paths: readonly string[];
  /** Called with the path as given, soon after (a turn of the event loop) its content may have changed; at times when it has not. */
  readonly onChange: (path: string) => void;
  /** Called when the system refuses a watch (inotify limits, permissions): until it is over, rely on a timer. */
  readonly onDegraded?: (reason: string) => void;
  readonly logger?: Logger;
}

/** How often a refused watch is tried again, in ms. */
const RETRY_MS = 5_000;
/** Passes after which a tree that changes all the time is left to its events. */
const MAX_PASSES = 16;

/**
 * Watches what paths lead to. It watches directories, never files, since a file's watch is lost when the file is
 * replaced; all directories on the way, with every symbolic link resolved, so that a Kubernetes `..data` swap, a
 * replaced link, a renamed parent and a file that appears later are all seen. After each event the way is followed
 * anew, and new watches stand before old ones go. A write through another hard link of the file is not seen.
 *
 * @returns a function that ends watching; no call comes after it.
 */
export function watchPaths(options: WatchPathsOptions): () => void {
  const watching = new PathWatch(options);
  watching.start();
  return () => watching.close();
}

interface Watched {
  readonly watcher: FSWatcher;
  /** The directory itself moved or was deleted: the watch may be dead although the same identity is there. */
  stale: boolean;
}

class PathWatch {
  readonly #options: WatchPathsOptions;
  readonly #watched = new Map<string, Watched>();
  readonly #refused = new Map<string, string>();
  #trails = new Map<string, Trail>();
  /** Paths an event was about since the last flush, whatever their fingerprint says. */
  readonly #touched = new Set<string>();
  #flush: NodeJS.Immediate | undefined;
  #cancelRetry: (() => void) | undefined;
  #closed = false;

  constructor(options: WatchPathsOptions) {
    this.#options = options;
  }

  start(): void {
    this.#settle();
  }

  close(): void {
    this.#closed = true;
    if (this.#flush !== undefined) clearImmediate(this.#flush);
    this.#cancelRetry?.();
    for (const { watcher } of this.#watched.values()) watcher.close();
    this.#watched.clear();
  }

  /** Follows all paths and adds watches until a pass finds nothing new: whatever happens after that makes an event. */
  #settle(): void {
    for (let pass = 0; pass < MAX_PASSES; pass += 1) {
      this.#trails = new Map(this.#options.paths.map((path) => [path, followPath(path)]));
      if (!this.#addWatches()) break;
    }
    const wanted = new Set(
      [...this.#trails.values()].flatMap(({ steps }) => {
        return steps.filter(({ isCrowded }) => !isCrowded).map(({ identity }) => identity);
      }),
    );
    for (const [identity, { watcher }] of this.#watched) {
      if (wanted.has(identity)) continue;
      watcher.close();
      this.#watched.delete(identity);
    }
    for (const identity of this.#refused.keys()) if (!wanted.has(identity)) this.#refused.delete(identity);
    this.#armRetry();
  }

  /** @returns whether a watch was added, so that something may have changed between following and watching. */
  #addWatches(): boolean {
    let added = false;
    for (const { steps } of this.#trails.values()) {
      for (const { directory, identity, decisive, isCrowded } of steps) {
        if (isCrowded) continue;
        const existing = this.#watched.get(identity);
        if (existing?.stale === false) continue;
        const watched = this.#watch(directory, identity, decisive);
        if (watched === undefined) continue;
        existing?.watcher.close();
        this.#watched.set(identity, watched);
        added = true;
      }
    }
    return added;
  }

  #watch(directory: string, identity: string, decisive: boolean): Watched | undefined {
    try {
      const watched: Watched = { watcher: watch(directory, { encoding: 'utf8' }), stale: false };
      watched.watcher.on('change', (event, name) => {
        // The directory's own move or deletion is told under its own name.
        if (event === 'rename' && name === basename(directory)) watched.stale = true;
        this.#onEvent(identity, typeof name === 'string' ? name : undefined, watched.stale);
      });
      watched.watcher.on('error', (error) => {
        watched.stale = true;
        this.#refuse({ directory, identity, decisive, error });
        this.#armRetry();
      });
      this.#refused.delete(identity);
      return watched;
    } catch (error) {
      this.#refuse({ directory, identity, decisive, error });
      return undefined;
    }
  }

  #refuse(refusal: { directory: string; identity: string; decisive: boolean; error: unknown }): void {
    const code = (refusal.error as NodeJS.ErrnoException).code ?? String(refusal.error);
    // Gone since it was followed: the next pass, or the event of the directory above, finds out.
    if (code === 'ENOENT' || code === 'ENOTDIR' || this.#refused.get(refusal.identity) === code) return;
    this.#refused.set(refusal.identity, code);
    // A parent that may be passed but not listed is common and costs little: only its own replacement goes unseen.
    if (code === 'EACCES' && !refusal.decisive) {
      this.#options.logger?.debug('file_watch_partial', { directory: refusal.directory, reason: code });
      return;
    }
    const limit =
      code === 'ENOSPC' || code === 'EMFILE' ? ' (raise fs.inotify.max_user_watches or max_user_instances)' : '';
    this.#options.logger?.warn('file_watch_degraded', { directory: refusal.directory, reason: code });
    this.#options.onDegraded?.(`cannot watch ${refusal.directory}: ${code}${limit}`);
  }

  #armRetry(): void {
    this.#cancelRetry?.();
    this.#cancelRetry = undefined;
    if (this.#refused.size === 0 || this.#closed) return;
    this.#cancelRetry = after({ delayMs: RETRY_MS, keepAlive: false, run: () => this.#onFlush() });
  }

  #onEvent(identity: string, name: string | undefined, self: boolean): void {
    let relevant = self;
    for (const [path, { steps }] of this.#trails) {
      for (const step of steps) {
        if (step.identity !== identity) continue;
        if (name !== undefined && step.name !== undefined && step.name !== name) continue;
        relevant = true;
        if (step.decisive) this.#touched.add(path);
      }
    }
    // One write makes several events; they come in one turn of the loop and are taken together at its end.
    if (relevant && !this.#closed) this.#flush ??= setImmediate(() => this.#onFlush());
  }

  #onFlush(): void {
    this.#flush = undefined;
    const before = this.#trails;
    const touched = new Set(this.#touched);
    this.#touched.clear();
    this.#settle();
    // Only now: whoever reads in onChange reads after the watches stand, so a later change makes an event of its own.
    for (const path of this.#options.paths) {
      if (this.#closed) return;
      const moved = before.get(path)?.fingerprint !== this.#trails.get(path)?.fingerprint;
      if (!touched.has(path) && !moved) continue;
      try {
        this.#options.onChange(path);
      } catch (error) {
        this.#options.logger?.error('file_watch_callback_failed', { path, error });
      }
    }
  }
}
