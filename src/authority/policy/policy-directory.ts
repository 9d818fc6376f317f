import { isDeepStrictEqual } from 'node:util';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TrustDomain } from '../../domain/agent-id.ts';
import { MeshError } from '../../domain/mesh-error.ts';
import { after } from '../../platform/clock.ts';
import type { Component } from '../../platform/component.ts';
import { watchPaths } from '../../platform/file-watch.ts';
import type { Logger } from '../../platform/logger.ts';
import type { AuthorityMetrics } from '../authority-metrics.ts';
import type { FileReading } from './file-changes.ts';
import { listPolicyFiles, sameListing, type KnownTexts, type PolicyListing } from './policy-files.ts';
import type { PolicyLedger } from './policy-ledger.ts';
import { PolicyReader } from './policy-reader.ts';
import { PROBLEM_SEVERITIES, type PolicyProblem } from './policy-yaml.ts';

export interface PolicyDirectoryOptions {
  readonly directory: string;
  readonly trustDomain: TrustDomain;
  readonly ledger: PolicyLedger;
  readonly logger: Logger;
  readonly metrics: AuthorityMetrics;
  /** How often the directory is read though no event came, in ms. Default 30 000. */
  readonly intervalMs?: number;
}

/** Two reads so far apart must agree, in ms: a file being written is not a policy. */
const SETTLE_MS = 10;
/** After so many unsettled reads the directory is left to the next event or timer. */
const MAX_UNSETTLED = 50;

/**
 * What operators decide, as YAML files in a directory: agents, baselines, grants, revocations. Read by event and by
 * timer, and handed to the ledger, which keeps what is in force, also when the authority restarts beside a broken or
 * missing file. While it runs, the directory itself may be gone.
 */
export class PolicyDirectory implements Component {
  readonly name = 'policy directory';
  readonly #options: PolicyDirectoryOptions;
  readonly #reader: PolicyReader;
  readonly #known: KnownTexts = new Map();
  #problems: readonly PolicyProblem[] = [];
  #reported = new Set<string>();
  #directories: readonly string[] = [];
  #unwatch: (() => void) | undefined;
  #cancelTimer: (() => void) | undefined;
  #reading: Promise<void> | undefined;
  #again = false;
  #stopped = false;

  constructor(options: PolicyDirectoryOptions) {
    this.#options = options;
    this.#reader = new PolicyReader(options.trustDomain);
  }

  async start(): Promise<void> {
    // What operators change may free a file that was in their way, or set one aside.
    this.#options.ledger.onChange((source) => {
      if (source !== 'files') void this.reload();
    });
    await this.#readOnce().catch((cause: unknown) => {
      throw new MeshError('FILE_UNREADABLE', `the policy directory ${this.#options.directory} cannot be read`, {
        cause,
        hint: 'create it, or correct policy_dir',
      });
    });
    this.#armTimer();
    // What changed between the first read and the first watch.
    await this.reload();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#unwatch?.();
    this.#cancelTimer?.();
    await this.#reading;
  }

  problems(): readonly PolicyProblem[] {
    return this.#problems;
  }

  /** Reads the directory anew; a call while one is under way makes it read once more. Never rejects. */
  reload(): Promise<void> {
    if (this.#stopped) return Promise.resolve();
    this.#again = true;
    this.#reading ??= this.#readWhileAsked().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  async #readWhileAsked(): Promise<void> {
    while (this.#again && !this.#stopped) {
      this.#again = false;
      try {
        await this.#readOnce();
      } catch (error) {
        this.#unreadable(error);
      }
    }
  }

  /** The directory is gone or the disk is full: what is in force stays in force. */
  #unreadable(error: unknown): void {
    const { directory, logger, metrics } = this.#options;
    logger.error('policy_unreadable', { directory, error });
    metrics.policyReloads.add({ result: 'failed' });
    const message = `${directory} was not taken, and what was in force stays: ${(error as Error).message}`;
    this.#report([{ severity: 'error', file: '', line: 0, column: 0, field: '', message }]);
  }

  async #readOnce(): Promise<void> {
    const listing = await this.#settled();
    this.#watch(listing.directories);
    const { ledger, metrics } = this.#options;
    const read = this.#reader.read(listing.texts);
    const broken = listing.problems.map((problem): FileReading => {
      return { file: { file: problem.file, records: [], problems: [problem], empty: false }, sha256: '' };
    });
    const { changed, problems } = await ledger.takeFiles([...read, ...broken]);
    this.#report(problems);
    metrics.policyReloads.add({ result: changed ? 'changed' : 'unchanged' });
  }

  async #settled(): Promise<PolicyListing> {
    let listing = await listPolicyFiles(this.#options.directory, this.#known);
    for (let attempt = 0; attempt < MAX_UNSETTLED; attempt += 1) {
      await sleep(SETTLE_MS);
      const next = await listPolicyFiles(this.#options.directory, this.#known);
      if (sameListing(listing, next)) return next;
      listing = next;
    }
    throw new MeshError('FILE_UNREADABLE', `${this.#options.directory} keeps changing; it is read again later`);
  }

  #watch(directories: readonly string[]): void {
    if (this.#stopped || isDeepStrictEqual(directories, this.#directories)) return;
    const unwatchOld = this.#unwatch;
    this.#directories = directories;
    const { logger } = this.#options;
    this.#unwatch = watchPaths({ paths: directories, onChange: () => void this.reload(), logger });
    unwatchOld?.();
    // New watches see only what happens from now on.
    if (unwatchOld !== undefined) this.#again = true;
  }

  #armTimer(): void {
    if (this.#stopped) return;
    this.#cancelTimer = after({
      delayMs: this.#options.intervalMs ?? 30_000,
      keepAlive: false,
      run: () => {
        // By the timer everything is read anew: not every file system keeps its times as it should.
        this.#known.clear();
        void this.reload().then(() => this.#armTimer());
      },
    });
  }

  /** Each problem is logged when it appears, not at each reading. */
  #report(problems: readonly PolicyProblem[]): void {
    const { logger, metrics } = this.#options;
    this.#problems = problems;
    const now = new Set(problems.map((problem) => JSON.stringify(problem)));
    for (const problem of problems) {
      if (this.#reported.has(JSON.stringify(problem))) continue;
      if (problem.severity === 'error') logger.error('policy_problem', { ...problem });
      else logger.warn('policy_problem', { ...problem });
    }
    this.#reported = now;
    for (const severity of PROBLEM_SEVERITIES) {
      metrics.policyProblems.set({ severity }, problems.filter((problem) => problem.severity === severity).length);
    }
  }
}
