import { digestJson, type Digest } from '../canonical/digest.ts';
import type { JsonObject } from '../canonical/strict-json.ts';
import type { ToolsDigest } from '../measurement.ts';
import { TOOL_RULE, type ListedTool } from './tool-page.ts';

/** One tool of a list that is not as it was approved. */
export interface ToolChange {
  readonly name: string;
  readonly kind: 'added' | 'removed' | 'changed';
  /**
   * Only of a change: which members of the definition differ, for example `description`; empty where the approved
   * definition was never seen here, so that it cannot be told.
   */
  readonly members: readonly string[];
}

/** What was seen of a list of tools. */
export interface SeenTools {
  /** The tools of this page. */
  readonly tools: readonly ListedTool[];
  /**
   * Names of all pages up to this one, where it is the last and none is missing: then what is approved and not among them
   * was removed. `undefined`: there may be more.
   */
  readonly complete: ReadonlySet<string> | undefined;
}

/** The digest of each member of a definition, by name: enough to say what differs, and no text of anybody's. */
export type MemberDigests = ReadonlyMap<string, Digest>;

export function memberDigests(definition: JsonObject): MemberDigests {
  return new Map(Object.entries(definition).map(([name, value]) => [name, digestJson(value)]));
}

/**
 * What differs between the tools that are approved and those that were seen: in the order of the page, then what was
 * removed, by name. Empty: the list is as approved. Fails closed: where no tools are approved, each is one too many.
 *
 * @param known the members of an approved definition, if it was seen before
 */
export function toolChanges(
  { tools, complete }: SeenTools,
  approved: ToolsDigest | null,
  known: (digest: Digest) => MemberDigests | undefined,
): readonly ToolChange[] {
  const changes = tools.flatMap(({ name, digest, definition }): ToolChange[] => {
    const expected = approvedDigest(approved, name);
    if (expected === undefined) return [{ name, kind: 'added', members: [] }];
    if (expected === digest && approved?.canonicalization === TOOL_RULE) return [];
    return [{ name, kind: 'changed', members: differingMembers(known(expected), definition) }];
  });
  if (complete === undefined) return changes;
  const missing = Object.keys(approved?.tools ?? {}).filter((name) => !complete.has(name));
  return [...changes, ...missing.toSorted().map((name): ToolChange => ({ name, kind: 'removed', members: [] }))];
}

/** The approved tools with everything in its place that was seen instead: what a peer is judged by from then on. */
export function toolsAsSeen(
  approved: ToolsDigest | null,
  seen: SeenTools,
  changes: readonly ToolChange[],
): ToolsDigest | null {
  const digests = Object.assign(Object.create(null) as Record<string, Digest>, approved?.tools);
  const changed = new Set(changes.map(({ name }) => name));
  for (const { name, digest } of seen.tools) if (changed.has(name)) digests[printableName(name)] = digest;
  for (const { name, kind } of changes) if (kind === 'removed') delete digests[name];
  return Object.keys(digests).length === 0 ? null : { canonicalization: TOOL_RULE, tools: digests };
}

const MAX_NAMED = 8;

/** One line for a log: `"search" changed (description), "exfiltrate" added`. No text of a definition is in it. */
export function describeToolChanges(changes: readonly ToolChange[]): string {
  const named = changes.slice(0, MAX_NAMED).map(({ name, kind, members }) => {
    const which = members.length === 0 ? '' : ` (${members.slice(0, MAX_NAMED).map(printableName).join(', ')})`;
    return `"${printableName(name)}" ${kind}${which}`;
  });
  const more = changes.length - named.length;
  return more > 0 ? `${named.join(', ')}, and ${more} more` : named.join(', ');
}

/** At most 64 characters of printable ASCII: the name comes from the server, and goes to logs and consoles. */
export function printableName(name: string): string {
  const shown = name.length > MAX_PRINTED ? name.slice(0, MAX_PRINTED) : name;
  const escaped = shown.replaceAll(
    /[^\x20-\x7e]|["\\]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return name.length > MAX_PRINTED ? `${escaped}…` : escaped;
}

const MAX_PRINTED = 64;

function approvedDigest(approved: ToolsDigest | null, name: string): Digest | undefined {
  return approved !== null && Object.hasOwn(approved.tools, name) ? approved.tools[name] : undefined;
}

function differingMembers(known: MemberDigests | undefined, definition: JsonObject): readonly string[] {
  if (known === undefined) return [];
  const now = memberDigests(definition);
  const names = [...new Set([...known.keys(), ...now.keys()])].toSorted();
  return names.filter((name) => known.get(name) !== now.get(name));
}
