import { readFileSync } from 'node:fs';
import { stringify } from 'yaml';
import {
  agentNameOf,
  kindOf,
  parseSpiffeId,
  parseTrustDomain,
  resolveAgentId,
  trustDomainOf,
  type TrustDomain,
} from '../../domain/agent-id.ts';
import type { Baseline } from '../../domain/baseline.ts';
import { digestJson } from '../../domain/canonical/digest.ts';
import { ASSURANCES, DIMENSIONS, type Assurance, type DigestTuple, type Dimension } from '../../domain/measurement.ts';
import { digestTupleToJson } from '../../domain/measurement-json.ts';
import { MeshError } from '../../domain/mesh-error.ts';
import { isObjectId, NOT_APPLICABLE } from '../../domain/state-objects.ts';
import { readPolicyFile } from '../../authority/policy/policy-objects.ts';

/** Where a file names agents without a trust domain, any will do: nothing here leaves the machine. */
const NO_TRUST_DOMAIN = 'offline.invalid';
const RFC_3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/;

export interface NewBaseline {
  /** A bare name or a SPIFFE ID, as it shall stand in the file. */
  readonly agent: string;
  /** Default: the agent and the first 12 hex digits of the digest of the tuple. */
  readonly id?: string;
  readonly approvedBy: string;
  /** RFC 3339 with a zone; stands in the file as given, so that the same input makes the same bytes. */
  readonly approvedAt: string;
  readonly minimumAssurance: Partial<Readonly<Record<Dimension, Assurance>>>;
  readonly digests: DigestTuple;
}

export interface BaselineText {
  readonly id: string;
  readonly text: string;
}

/**
 * Writes the YAML `kind: Baseline` that the authority's policy directory reads, and has that reader read it once, so
 * that nothing is written which it would refuse. Deterministic: names are sorted, no time but the given one.
 *
 * @throws MeshError `CONFIG_INVALID`, `SPIFFE_ID_INVALID`
 */
export function writeBaseline(baseline: NewBaseline): BaselineText {
  const { agent, approvedBy, approvedAt, minimumAssurance, digests } = baseline;
  checkAgent(agent);
  if (!RFC_3339.test(approvedAt) || Number.isNaN(Date.parse(approvedAt))) {
    throw new MeshError('CONFIG_INVALID', `"${approvedAt}" is not a time`, {
      hint: 'write RFC 3339 with a zone, for example 2026-01-31T12:00:00Z; `git log -1 --format=%cI` prints one',
    });
  }
  const id: string = baseline.id ?? defaultId(agent, digests);
  if (!isObjectId(id)) {
    throw new MeshError('CONFIG_INVALID', `"${String(id)}" is not an id of letters, digits and . _ : / > @ -`);
  }
  const document = {
    kind: 'Baseline',
    id,
    agent,
    state: 'approved',
    approved_by: approvedBy,
    approved_at: approvedAt,
    ...(Object.keys(minimumAssurance).length > 0 && { minimum_assurance: inOrder(minimumAssurance) }),
    digests: humanDigests(digests),
  };
  const text = stringify(document, { lineWidth: 0, aliasDuplicateObjects: false });
  readBaselines('the new baseline', text);
  return { id, text };
}

/**
 * The one baseline of a file, or the one with the id.
 *
 * @throws MeshError `FILE_UNREADABLE`, or `CONFIG_INVALID` with all problems of the file.
 */
export function readBaselineFile(path: string, id?: string): Baseline {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(path));
  } catch (cause) {
    throw new MeshError('FILE_UNREADABLE', `${path} cannot be read: ${(cause as Error).message}`, { cause });
  }
  const baselines = readBaselines(path, text).filter((baseline) => id === undefined || baseline.id === id);
  const [first, second] = baselines;
  if (first === undefined) {
    throw new MeshError('CONFIG_INVALID', `${path} has no baseline${id === undefined ? '' : ` with the id ${id}`}`);
  }
  if (second !== undefined) {
    const ids = baselines.map((baseline) => baseline.id).join(', ');
    throw new MeshError('CONFIG_INVALID', `${path} has several baselines`, { hint: `name one with --id: ${ids}` });
  }
  return first;
}

/**
 * `dimension=assurance` for one dimension, or a bare assurance for all that the agent has.
 *
 * @throws MeshError `CONFIG_INVALID`
 */
export function parseMinimumAssurance(
  demands: readonly string[],
  digests: DigestTuple,
): Partial<Record<Dimension, Assurance>> {
  const minimum: Partial<Record<Dimension, Assurance>> = {};
  for (const demand of demands) {
    const [left, right] = demand.includes('=') ? demand.split('=', 2) : [undefined, demand];
    const assurance = ASSURANCES.find((known) => known === right);
    const dimensions = left === undefined ? DIMENSIONS : DIMENSIONS.filter((dimension) => dimension === left);
    if (assurance === undefined || dimensions.length === 0) {
      throw new MeshError('CONFIG_INVALID', `"${demand}" is not a minimum assurance`, {
        hint: `write one of ${ASSURANCES.join(', ')}, or <dimension>=<assurance> with ${DIMENSIONS.join(', ')}`,
      });
    }
    for (const dimension of dimensions) if (digests[dimension] !== null) minimum[dimension] = assurance;
  }
  return minimum;
}

/** The agent as the file spelt it: its bare name where that is what stood there. */
export function agentLabel({ agent }: Baseline): string {
  return trustDomainOf(agent) === NO_TRUST_DOMAIN ? agentNameOf(agent) : agent;
}

function readBaselines(path: string, text: string): Baseline[] {
  const { records, problems } = readPolicyFile(path, text, trustDomainIn(text));
  const errors = problems.filter(({ severity }) => severity === 'error');
  if (errors.length > 0) {
    const lines = errors.map(({ line, column, field, message }) => `  ${path}:${line}:${column}: ${field} ${message}`);
    throw new MeshError('CONFIG_INVALID', `${path} is not a policy file:\n${lines.join('\n')}`);
  }
  return records.flatMap(({ object }) => (object.kind === 'baseline' ? [object.value] : []));
}

/** A file that spells agents out is read as the authority of their own trust domain would read it. */
function trustDomainIn(text: string): TrustDomain {
  const [, name] = /^agent:\s*["']?spiffe:\/\/([a-z0-9._-]{1,255})\//m.exec(text) ?? [];
  return parseTrustDomain(name ?? NO_TRUST_DOMAIN);
}

function checkAgent(agent: string): void {
  if (agent.startsWith('spiffe://') && kindOf(parseSpiffeId(agent)) === 'agent') return;
  resolveAgentId(parseTrustDomain(NO_TRUST_DOMAIN), agent);
}

function defaultId(agent: string, digests: DigestTuple): string {
  const hex = digestJson(digestTupleToJson(digests)).slice('sha256:'.length);
  return `${agent.replace(/^spiffe:\/\/[^/]+\/agent\//, '')}-${hex.slice(0, 12)}`;
}

/** As `digestTupleToJson`, with `not_applicable` for null and names in order. */
function humanDigests(digests: DigestTuple): Record<string, unknown> {
  const json = digestTupleToJson(digests);
  return Object.fromEntries(
    DIMENSIONS.map((dimension) => [dimension, json[dimension] === null ? NOT_APPLICABLE : sortedMaps(json[dimension])]),
  );
}

function sortedMaps(value: unknown): unknown {
  const object = value as Record<string, unknown>;
  return Object.fromEntries(
    Object.entries(object).map(([name, member]) =>
      name === 'prompts' || name === 'tools' ? [name, sortedByName(member as Record<string, unknown>)] : [name, member],
    ),
  );
}

function sortedByName(map: Record<string, unknown>): Map<string, unknown> {
  // A Map keeps names such as `10` in this order; an object would put them first.
  return new Map(Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function inOrder(minimum: Partial<Readonly<Record<Dimension, Assurance>>>): Record<string, Assurance> {
  return Object.fromEntries(
    DIMENSIONS.flatMap((dimension) => {
      const assurance = minimum[dimension];
      return assurance === undefined ? [] : [[dimension, assurance]];
    }),
  );
}
