import assert from 'node:assert/strict';
import { createAuthorityMetrics } from '../../src/authority/authority-metrics.ts';
import { sha256OfText } from '../../src/authority/policy/file-changes.ts';
import { parseOperatorChanges } from '../../src/authority/policy/operator-changes.ts';
import type { ReportedInstance } from '../../src/authority/policy/policy-impact.ts';
import { PolicyLedger, type ChangeTerms, type PolicyLedgerOptions } from '../../src/authority/policy/policy-ledger.ts';
import { readPolicyFile } from '../../src/authority/policy/policy-objects.ts';
import type { PolicyOutcome } from '../../src/authority/policy/policy-outcome.ts';
import { agentId } from '../../src/domain/agent-id.ts';
import type { JsonValue } from '../../src/domain/canonical/strict-json.ts';
import { parseMeasurement } from '../../src/domain/measurement-json.ts';
import { createRegistry } from '../../src/platform/metrics-registry.ts';
import type { Change, StateStore } from '../../src/platform/store.ts';
import { MemoryStore } from '../fakes/memory-store.ts';
import { createLogBook, TRUST_DOMAIN } from './authority-harness.ts';
import { MEASUREMENT } from './policy-files.ts';

export const PLANNER = agentId(TRUST_DOMAIN, 'planner');
export const RESEARCHER = agentId(TRUST_DOMAIN, 'researcher');

/** A store whose disk can be full. */
export class FragileStore extends MemoryStore {
  isFull = false;

  override async commit(changes: readonly Change[]): Promise<void> {
    if (this.isFull) throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
    await super.commit(changes);
  }
}

/** Planner calls researcher, once. */
export function oneSession(): ReportedInstance[] {
  const measurement = parseMeasurement(MEASUREMENT);
  return [
    { id: 'p1', agent: PLANNER, measurement, sessions: [{ peer: RESEARCHER, peerInstance: 'r1', role: 'dialler' }] },
    { id: 'r1', agent: RESEARCHER, measurement, sessions: [{ peer: PLANNER, peerInstance: 'p1', role: 'acceptor' }] },
  ];
}

/** A ledger over a store, and what runs as a test says. */
export async function openLedger(
  store: StateStore = new FragileStore(),
  options: { readonly impactLimit?: number; readonly alongside?: PolicyLedgerOptions['alongside'] } = {},
) {
  const log = createLogBook();
  const world = { now: Date.UTC(2026, 5, 1), reported: [] as readonly ReportedInstance[], complete: true };
  const clock = { now: () => world.now, monotonic: () => world.now };
  const ledger = new PolicyLedger({
    trustDomain: TRUST_DOMAIN,
    store,
    clock,
    logger: log.logger,
    metrics: createAuthorityMetrics(createRegistry({ clock })),
    impactLimit: options.impactLimit ?? 5,
    ...(options.alongside && { alongside: options.alongside }),
    mesh: {
      reported: () => world.reported,
      isComplete: () => world.complete,
      instanceOf: () => undefined,
      isKnown: () => true,
    },
  });
  await ledger.load();
  return {
    ledger,
    log,
    world,
    files: (files: Readonly<Record<string, string>>) =>
      ledger.takeFiles(
        Object.entries(files).map(([name, text]) => ({
          file: readPolicyFile(name, text, TRUST_DOMAIN),
          sha256: sha256OfText(text),
        })),
      ),
    change: (change: object | readonly object[], terms: Partial<ChangeTerms> = {}) =>
      ledger.change(
        parseOperatorChanges((Array.isArray(change) ? change : [change]) as readonly JsonValue[], TRUST_DOMAIN),
        { operator: 'ada', ...terms },
      ),
    /** What is in force, as `kind id` and its state. */
    inForce: () =>
      ledger
        .objects()
        .map(({ kind, value }) => {
          const state = 'state' in value ? value.state : 'lifecycle' in value ? value.lifecycle : '';
          return `${kind} ${value.id.replace('spiffe://acme.example/agent/', '')} ${state}`.trim();
        })
        .toSorted(),
  };
}

export function assertRefused(outcome: PolicyOutcome, code: string, says = /./): void {
  assert.ok(!outcome.ok, JSON.stringify(outcome));
  assert.equal(outcome.code, code, outcome.detail);
  assert.match(outcome.detail, says);
}

export function assertApplied(outcome: PolicyOutcome): void {
  assert.ok(outcome.ok && outcome.applied, JSON.stringify(outcome));
}
