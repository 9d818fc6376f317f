import type { TrustDomain } from '../../domain/agent-id.ts';
import type { RevocationKind } from '../../domain/mesh-state.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Logger } from '../../platform/logger.ts';
import type { StateStore } from '../../platform/store.ts';
import type { AuthorityMetrics } from '../authority-metrics.ts';
import { changeByFiles, setAside, type FileReading } from './file-changes.ts';
import type { OperatorChange } from './operator-changes.ts';
import { applyChanges } from './operator-edits.ts';
import { PolicyBrake, type ChangeOfLayers, type RunningMesh } from './policy-brake.ts';
import type { Impact } from './policy-impact.ts';
import {
  changeOf,
  differencesOf,
  digestOfFiles,
  loadLayers,
  NO_LAYERS,
  objectsInForce,
  recordsInForce,
  type LayerDifference,
  type PolicyLayers,
} from './policy-layers.ts';
import type { PolicyRecord } from './policy-objects.ts';
import { policyRefusal, type PolicyOutcome, type PolicyRefusal } from './policy-outcome.ts';
import {
  loadRevisions,
  revisionChanges,
  summarise,
  KEPT_REVISIONS,
  type ChangeSource,
  type Revision,
} from './policy-revision.ts';
import { undoTo } from './policy-undo.ts';
import type { PolicyProblem } from './policy-yaml.ts';
import type { StoredAlongside } from './stored-alongside.ts';

/** What the ledger must know of what runs. */
export interface LedgerMesh extends RunningMesh {
  isKnown(kind: RevocationKind, subject: string): boolean;
}

export interface PolicyLedgerOptions {
  readonly trustDomain: TrustDomain;
  readonly store: StateStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: AuthorityMetrics;
  /** In percent of all open sessions; 100 switches the brake off. */
  readonly impactLimit: number;
  readonly mesh: LedgerMesh;
  /** What has to be stored with a change of what is in force. Default: nothing. */
  readonly alongside?: (objects: readonly PolicyRecord['object'][]) => StoredAlongside;
}

/** How somebody asks for a change. */
export interface ChangeTerms {
  readonly operator: string;
  /** The revision that the operator has seen; refused when another one is in force. */
  readonly baseRevision?: number | undefined;
  /** So many sessions may end. */
  readonly acceptImpact?: number | undefined;
  /** Only say what would happen. Default false. */
  readonly dryRun?: boolean | undefined;
}

/** What the brake holds. */
export interface HeldChange {
  /** Of the files as they are; what is accepted is named by it. */
  readonly digest: string;
  readonly files: readonly string[];
  /** Of accepting it now. */
  readonly impact: Impact;
  readonly summary: string;
}

/** What a reading of the directory came to. */
export interface FilesOutcome {
  readonly changed: boolean;
  readonly problems: readonly PolicyProblem[];
}

interface Proposal {
  readonly layers: PolicyLayers;
  readonly source: ChangeSource;
  readonly author: string;
  /** Default: worked out from what differs. */
  readonly summary?: (differences: string) => string;
  readonly notes: readonly string[];
}

/**
 * The policy in force, and the one place where it changes: proposed, its impact worked out, refused or stored, and only
 * then in force. One change at a time, each a revision. A change that cannot be stored changes nothing.
 */
export class PolicyLedger {
  readonly #options: PolicyLedgerOptions;
  readonly #brake: PolicyBrake;
  readonly #listeners = new Set<(source: ChangeSource) => void>();
  #layers: PolicyLayers = NO_LAYERS;
  #records: ReadonlyMap<string, PolicyRecord> = new Map();
  /** Oldest first. */
  #revisions: readonly Revision[] = [];
  #readings: readonly FileReading[] = [];
  #queue: Promise<unknown> = Promise.resolve();

  constructor(options: PolicyLedgerOptions) {
    this.#options = options;
    this.#brake = new PolicyBrake(options);
  }

  /** Reads what the store has; call once, before anything else. @throws MeshError `STATE_FILE_CORRUPT` */
  async load(): Promise<void> {
    this.#takeEffect(await loadLayers(this.#options.store));
    this.#revisions = await loadRevisions(this.#options.store);
    this.#options.metrics.policyRevision.set(this.revision);
  }

  /** Number of the policy in force; 0 before there is one. */
  get revision(): number {
    return this.#revisions.at(-1)?.revision ?? 0;
  }

  /** What is in force, grants that were withdrawn left out. */
  objects(): readonly PolicyRecord['object'][] {
    return objectsInForce(this.#layers);
  }

  /** As {@link objects}, with places and notes, for operators. */
  records(): readonly PolicyRecord[] {
    return [...this.#records.values()];
  }

  /** Oldest first, at most {@link KEPT_REVISIONS}. */
  revisions(): readonly Revision[] {
    return this.#revisions;
  }

  /** Calls back after every change of what is in force. */
  onChange(listener: (source: ChangeSource) => void): void {
    this.#listeners.add(listener);
  }

  /** What the brake holds; `undefined`: nothing. */
  held(): HeldChange | undefined {
    const held = heldFiles(this.#layers);
    if (held.size === 0) return undefined;
    const accepted = this.#withoutHeld();
    return {
      digest: digestOfFiles(held),
      files: [...held.keys()].toSorted(),
      impact: this.#brake.impactOf(this.#to(accepted)),
      summary: this.#summaryOf(accepted),
    };
  }

  /**
   * Takes what the directory says now.
   *
   * @throws the store's error; nothing has changed then
   */
  takeFiles(readings: readonly FileReading[]): Promise<FilesOutcome> {
    return this.#inTurn(async () => {
      const { metrics } = this.#options;
      const isFirst = this.revision === 0 && this.#records.size === 0;
      const brake = (next: PolicyLayers) => (isFirst ? undefined : this.#brake.judge(this.#to(next)));
      const change = changeByFiles(this.#layers, readings, brake);
      const note = 'held by the brake';
      const layers = setAside(change.layers, readings, { files: change.held, why: 'held', note });
      const before = this.revision;
      await this.#commit({ layers, source: 'files', author: 'file' });
      this.#readings = readings;
      if (change.held.length > 0) {
        metrics.policyChanges.add({ source: 'files', result: 'held' });
        this.#logHeld(change.held);
      }
      const changed = this.revision !== before;
      if (changed) metrics.policyChanges.add({ source: 'files', result: 'applied' });
      return { changed, problems: [...change.problems, ...this.#asideProblems(), ...change.waiting.map(waiting)] };
    });
  }

  /** Makes an operator's changes, all or none. */
  change(changes: readonly OperatorChange[], terms: ChangeTerms): Promise<PolicyOutcome> {
    return this.#propose(terms, 'operator', () => {
      const { trustDomain, clock, mesh } = this.#options;
      const context = {
        trustDomain,
        operator: terms.operator,
        now: clock.now(),
        reported: mesh.reported(),
        isKnown: (kind: RevocationKind, subject: string) => mesh.isKnown(kind, subject),
      };
      const edit = applyChanges(this.#layers, changes, context);
      return edit.ok ? { layers: edit.layers, source: 'operator', author: terms.operator, notes: edit.notes } : edit;
    });
  }

  /** Goes back to an earlier revision, as a new one. @param to default: the one before the last */
  undo(terms: ChangeTerms & { readonly to?: number | undefined }): Promise<PolicyOutcome> {
    return this.#propose(terms, 'undo', () => {
      const undoing = undoTo({
        layers: this.#layers,
        revisions: this.#revisions,
        to: terms.to,
        operator: terms.operator,
        readings: this.#readings,
      });
      if (!undoing.ok) return undoing;
      const { layers, notes, undone } = undoing;
      const summary = (differences: string) => `undo of revision ${undone.join(', ')}: ${differences}`;
      return { layers, source: 'undo', author: terms.operator, summary, notes };
    });
  }

  /** Lets through what the brake holds. @param digest what the operator saw, see {@link HeldChange} */
  accept(terms: ChangeTerms & { readonly digest: string }): Promise<PolicyOutcome> {
    return this.#propose(terms, 'operator', () => {
      const held = heldFiles(this.#layers);
      if (held.size === 0) return policyRefusal('NOTHING_HELD', 'the brake holds nothing');
      const digest = digestOfFiles(held);
      if (digest !== terms.digest) {
        return policyRefusal('HELD_CHANGED', `what is held now is ${digest}, not ${terms.digest}; look at it again`);
      }
      const gone = [...held.keys()].filter((name) => !this.#readings.some(({ file }) => file.file === name));
      if (gone.length > 0) return policyRefusal('HELD_CHANGED', `${gone.join(', ')} is not there any more`);
      const summary = (differences: string) => `held change accepted: ${differences}`;
      return { layers: this.#withoutHeld(), source: 'operator', author: terms.operator, summary, notes: [] };
    });
  }

  #propose(terms: ChangeTerms, source: ChangeSource, make: () => Proposal | PolicyRefusal): Promise<PolicyOutcome> {
    return this.#inTurn(async () => {
      const outcome = await this.#consider(terms, make);
      const { logger, metrics } = this.#options;
      const { operator } = terms;
      if (!outcome.ok) {
        const { code, detail } = outcome;
        metrics.policyChanges.add({ source, result: code === 'IMPACT_TOO_LARGE' ? 'too_large' : 'refused' });
        logger.warn('policy_change_refused', { operator, code, detail });
      } else {
        const result = terms.dryRun === true ? 'dry_run' : outcome.applied ? 'applied' : 'unchanged';
        metrics.policyChanges.add({ source, result });
        logger.info('policy_changed', { operator, result, revision: outcome.revision, summary: outcome.summary });
      }
      return outcome;
    });
  }

  /** Nothing waits between the impact that is judged and the write. */
  async #consider(terms: ChangeTerms, make: () => Proposal | PolicyRefusal): Promise<PolicyOutcome> {
    const movedOn = this.#checkBase(terms.baseRevision);
    if (movedOn !== undefined) return movedOn;
    const proposal = make();
    if ('code' in proposal) return proposal;
    const change = this.#to(proposal.layers);
    const impact = this.#brake.impactOf(change);
    const differences = this.#summaryOf(proposal.layers);
    const summary = proposal.summary?.(differences) ?? differences;
    const { notes } = proposal;
    if (terms.dryRun === true) return { ok: true, applied: false, revision: this.revision, summary, impact, notes };
    const refused = this.#brake.check(change, impact, terms.acceptImpact);
    if (refused !== undefined) return refused;
    try {
      const applied = await this.#commit(proposal);
      return { ok: true, applied, revision: this.revision, summary, impact, notes };
    } catch (error) {
      this.#options.logger.error('policy_not_stored', { error });
      const detail = `nothing was changed, because the state could not be written: ${(error as Error).message}`;
      return policyRefusal('STATE_NOT_WRITTEN', detail);
    }
  }

  #checkBase(base: number | undefined): PolicyRefusal | undefined {
    if (base === undefined || base === this.revision) return undefined;
    const since = this.#revisions.filter(({ revision }) => revision > base);
    const who = since.map(({ revision, author, summary }) => `${revision} by ${author}: ${summary}`);
    const detail = `the policy in force is revision ${this.revision}, not ${base}; since then: ${who.join(' | ') || 'nothing that is still kept'}`;
    return policyRefusal('POLICY_MOVED_ON', detail, { since });
  }

  #to(next: PolicyLayers): ChangeOfLayers {
    return { from: this.#layers, to: next };
  }

  #summaryOf(next: PolicyLayers): string {
    const keys = differencesOf(this.#layers, next).flatMap(({ layer, key }) => (layer === 'aside' ? [] : [key]));
    return summarise(this.#records, recordsInForce(next), keys);
  }

  /** Stores first; only what is stored is in force. @returns whether there is a new revision */
  async #commit({ layers, source, author, summary }: Omit<Proposal, 'notes'>): Promise<boolean> {
    const { store, clock, logger, metrics } = this.#options;
    const differences = differencesOf(this.#layers, layers);
    if (differences.length === 0) return false;
    const steps = differences.filter((each) => each.layer !== 'aside' || source === 'undo');
    const isRevision = steps.some((each) => each.layer !== 'aside' && !isOnlyElsewhere(each));
    if (!isRevision) {
      await store.commit(differences.map(changeOf));
      this.#takeEffect(layers);
      return false;
    }
    const said = this.#summaryOf(layers);
    const revision: Revision = {
      revision: this.revision + 1,
      at: clock.now(),
      author,
      source,
      summary: summary?.(said) ?? said,
      before: steps.map(({ layer, key, before }) => ({ layer, key, value: before })),
    };
    const alongside = this.#options.alongside?.(objectsInForce(layers));
    const changes = [...differences.map(changeOf), ...revisionChanges(this.#revisions, revision)];
    try {
      await store.commit([...changes, ...(alongside?.changes ?? [])]);
    } catch (error) {
      alongside?.settled(false);
      throw error;
    }
    alongside?.settled(true);
    const applied = steps.flatMap((each) => (each.layer === 'aside' ? [] : [appliedText(each)]));
    this.#takeEffect(layers);
    this.#revisions = [...this.#revisions, revision].slice(-KEPT_REVISIONS);
    metrics.policyRevision.set(revision.revision);
    logger.info('policy_applied', { revision: revision.revision, author, summary: revision.summary, changes: applied });
    for (const listener of this.#listeners) listener(source);
    return true;
  }

  #takeEffect(layers: PolicyLayers): void {
    this.#layers = layers;
    this.#records = recordsInForce(layers);
  }

  #withoutHeld(): PolicyLayers {
    const aside = new Map([...this.#layers.aside].filter(([, { why }]) => why !== 'held'));
    return changeByFiles({ ...this.#layers, aside }, this.#readings, () => undefined).layers;
  }

  #asideProblems(): readonly PolicyProblem[] {
    const digest = digestOfFiles(heldFiles(this.#layers));
    return [...this.#layers.aside].map(([file, { why, note }]) => {
      const advice =
        why === 'held'
          ? `too many sessions would end, and what was in force stays; see whom: ait policy show; accept it: ait policy accept ${digest} --accept-impact=N`
          : 'it has no effect until its text changes';
      return { severity: 'held', file, line: 0, column: 0, field: '', message: `${note}: ${advice}` };
    });
  }

  #logHeld(files: readonly string[]): void {
    const held = this.held();
    if (held === undefined) return;
    const { digest, impact, summary } = held;
    this.#options.logger.warn('policy_held', {
      files,
      digest,
      summary,
      sessions_ending: impact.ending,
      sessions_open: impact.total,
      accept: `ait policy accept ${digest} --accept-impact=${impact.ending}`,
    });
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(work);
    this.#queue = result.catch(() => undefined);
    return result;
  }
}

function heldFiles({ aside }: PolicyLayers): PolicyLayers['aside'] {
  return new Map([...aside].filter(([, { why }]) => why === 'held'));
}

function waiting(file: string): PolicyProblem {
  const message =
    'not taken yet: the authority has just started, and not all instances have said what sessions they have; it is read again within a minute';
  return { severity: 'held', file, line: 0, column: 0, field: '', message };
}

/** A record that only stands in another place now is not another policy. */
function isOnlyElsewhere({ before, value }: LayerDifference): boolean {
  if (before === null || value === null) return false;
  const said = (record: object) => JSON.stringify({ ...record, file: '', line: 0, column: 0 });
  return said(before as object) === said(value as object);
}

function appliedText({ key, value }: LayerDifference): string {
  return `${value === null ? 'delete' : 'put'} ${key}`;
}
