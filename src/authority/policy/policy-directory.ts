import { isDeepStrictEqual } from 'node:util';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TrustDomain } from '../../domain/agent-id.ts';
import type { JsonObject, JsonValue } from '../../domain/canonical/strict-json.ts';
import { isMeshError, MeshError } from '../../domain/mesh-error.ts';
import { parseStateObject, stateObjectToJson } from '../../domain/state-objects.ts';
import { after } from '../../platform/clock.ts';
import type { Component } from '../../platform/component.ts';
import { watchPaths } from '../../platform/file-watch.ts';
import type { Logger } from '../../platform/logger.ts';
import type { Change, StateStore } from '../../platform/store.ts';
import type { AuthorityMetrics } from '../authority-metrics.ts';
import { listPolicyFiles, sameListing, type PolicyListing } from './policy-files.ts';
import type { PolicyFile, PolicyRecord } from './policy-objects.ts';
import { PolicyReader } from './policy-reader.ts';
import { mergePolicy } from './policy-registry.ts';
import type { PolicyProblem } from './policy-yaml.ts';

export interface PolicyDirectoryOptions {
  readonly directory: string;
  readonly trustDomain: TrustDomain;
  readonly store: StateStore;
  readonly logger: Logger;
  readonly metrics: AuthorityMetrics;
  /** How often the directory is read though no event came, in ms. Default 30 000. */
  readonly intervalMs?: number;
}

const COLLECTION = 'policy';
/** Two reads so far apart must agree, in ms: a file being written is not a policy. */
const SETTLE_MS = 20;
/** After so many unsettled reads the directory is left to the next event or timer. */
const MAX_UNSETTLED = 50;

/**
 * What operators decide, as YAML files in a directory: agents, baselines, grants, revocations. Read by event and by
 * timer; what was good is kept in the store, so that it is still in force when the authority restarts beside a broken
 * or missing file. See {@link mergePolicy} for the rules.
 */
export class PolicyDirectory implements Component {
  readonly name = 'policy directory';
  readonly #options: PolicyDirectoryOptions;
  readonly #listeners = new Set<() => void>();
  readonly #reader: PolicyReader;
  #records: ReadonlyMap<string, PolicyRecord> = new Map();
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
    const { store } = this.#options;
    this.#records = new Map((await store.list(COLLECTION)).map(({ key, value }) => [key, recordFromJson(key, value)]));
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

  /** What is in force, grants that were withdrawn left out. */
  objects(): readonly PolicyRecord['object'][] {
    return [...this.#records.values()].filter(({ withdrawn }) => !withdrawn).map(({ object }) => object);
  }

  /** As {@link objects}, with places and notes, for operators. */
  records(): readonly PolicyRecord[] {
    return [...this.#records.values()];
  }

  problems(): readonly PolicyProblem[] {
    return this.#problems;
  }

  /** Calls back after every change of what is in force. */
  onChange(listener: () => void): void {
    this.#listeners.add(listener);
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
        // The directory is gone or the disk is full: what is in force stays in force.
        this.#options.logger.error('policy_unreadable', { directory: this.#options.directory, error });
        this.#options.metrics.policyReloads.add({ result: 'failed' });
      }
    }
  }

  async #readOnce(): Promise<void> {
    const listing = await this.#settled();
    this.#watch(listing.directories);
    const read = this.#reader.read(listing.texts);
    const broken = listing.problems.map((problem): PolicyFile => {
      return { file: problem.file, records: [], problems: [problem], empty: false };
    });
    const { records, problems } = mergePolicy(this.#records, [...read, ...broken]);
    const changes = differences(this.#records, records);
    await this.#options.store.commit(changes);
    this.#records = records;
    this.#report(problems);
    this.#options.metrics.policyReloads.add({ result: changes.length > 0 ? 'changed' : 'unchanged' });
    if (changes.length === 0) return;
    this.#options.logger.info('policy_applied', { changes: changes.map(({ kind, key }) => `${kind} ${key}`) });
    for (const listener of this.#listeners) listener();
  }

  async #settled(): Promise<PolicyListing> {
    let listing = await listPolicyFiles(this.#options.directory);
    for (let attempt = 0; attempt < MAX_UNSETTLED; attempt += 1) {
      await sleep(SETTLE_MS);
      const next = await listPolicyFiles(this.#options.directory);
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
      run: () => void this.reload().then(() => this.#armTimer()),
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
    for (const severity of ['error', 'warning'] as const) {
      metrics.policyProblems.set({ severity }, problems.filter((problem) => problem.severity === severity).length);
    }
  }
}

function differences(
  before: ReadonlyMap<string, PolicyRecord>,
  next: ReadonlyMap<string, PolicyRecord>,
): readonly Change[] {
  const changes: Change[] = [];
  for (const [key, record] of next) {
    const old = before.get(key);
    // Of a file that did not change: there is nothing to compare.
    if (old === record) continue;
    const value = recordToJson(record);
    if (old === undefined || !isDeepStrictEqual(recordToJson(old), value)) {
      changes.push({ kind: 'put', collection: COLLECTION, key, value });
    }
  }
  for (const key of before.keys()) {
    if (!next.has(key)) changes.push({ kind: 'delete', collection: COLLECTION, key });
  }
  return changes;
}

function recordToJson({ file, line, column, object, withdrawn, group, note }: PolicyRecord): JsonObject {
  return { file, line, column, withdrawn, group, note: { ...note }, object: toPlain(stateObjectToJson(object)) };
}

/** Without the missing prototypes of strict JSON, which would make equal values look different. */
function toPlain(json: JsonObject): JsonValue {
  return JSON.parse(JSON.stringify(json)) as JsonValue;
}

function recordFromJson(key: string, value: JsonValue): PolicyRecord {
  try {
    const stored = value as Omit<PolicyRecord, 'object' | 'key'> & { readonly object: JsonValue };
    const object = parseStateObject(stored.object) as PolicyRecord['object'];
    return { ...stored, key, object };
  } catch (cause) {
    if (!isMeshError(cause)) throw cause;
    throw new MeshError('STATE_FILE_CORRUPT', `the stored policy ${key} cannot be read: ${cause.message}`, { cause });
  }
}
