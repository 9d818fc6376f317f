import { parse as parseYaml } from 'yaml';

/** As much of a valibot schema as this module looks at; wrappers, pipes and objects are plain data in valibot. */
export interface SchemaNode {
  readonly type: string;
  readonly wrapped?: SchemaNode;
  readonly entries?: Readonly<Record<string, SchemaNode>>;
  readonly item?: SchemaNode;
  readonly value?: SchemaNode;
  readonly key?: string;
  readonly options?: readonly unknown[];
  readonly literal?: unknown;
}

export type ConfigPath = readonly (string | number)[];

/** `peers[0].agent`: how a place in the configuration is written everywhere. */
export function formatPath(path: ConfigPath): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === 'number') return `${text}[${part}]`;
    return text === '' ? part : `${text}.${part}`;
  }, '');
}

/** The schema inside `optional`, `nullable` and the like. */
export function unwrap(schema: SchemaNode | undefined): SchemaNode | undefined {
  let inner = schema;
  while (inner?.wrapped !== undefined) inner = inner.wrapped;
  return inner;
}

/** The objects a schema stands for: itself, or the alternatives of a union or variant that fit the value so far. */
export function objectAlternatives(schema: SchemaNode | undefined, value?: unknown): readonly SchemaNode[] {
  const inner = unwrap(schema);
  if (inner === undefined) return [];
  if (inner.type !== 'variant' && inner.type !== 'union') return inner.entries === undefined ? [] : [inner];
  const alternatives = (inner.options ?? []).flatMap((option) => objectAlternatives(option as SchemaNode, value));
  const tag = inner.key;
  if (tag === undefined || !isRecord(value)) return alternatives;
  const fitting = alternatives.filter((option) => unwrap(option.entries?.[tag])?.literal === value[tag]);
  return fitting.length > 0 ? fitting : alternatives;
}

export type Step = { readonly name: string | number; readonly schema: SchemaNode | undefined };

/** One step down by a name spelled as in a file, a flag or (`SYSTEM_PROMPT`) a variable; undefined when there is none. */
export function stepInto(schema: SchemaNode | undefined, segment: string): Step | undefined {
  const inner = unwrap(schema);
  if (inner === undefined || inner.type === 'any' || inner.type === 'unknown')
    return { name: segment, schema: undefined };
  if (inner.type === 'array' || inner.type === 'tuple') {
    return /^\d{1,4}$/.test(segment) ? { name: Number(segment), schema: inner.item } : undefined;
  }
  if (inner.type === 'record') return { name: segment, schema: inner.value };
  for (const { entries = {} } of objectAlternatives(inner)) {
    const name =
      Object.keys(entries).find((each) => each === segment) ??
      Object.keys(entries).find((each) => plain(each) === plain(segment));
    if (name !== undefined) return { name, schema: entries[name] };
  }
  return undefined;
}

/** A value of a variable or flag, which is always text, as the type the schema wants; unfit text stays text and fails there. */
export function coerceText(schema: SchemaNode | undefined, text: string): unknown {
  const inner = unwrap(schema);
  switch (inner?.type) {
    case 'number':
      return /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text;
    case 'boolean':
      return text === 'true' ? true : text === 'false' ? false : text;
    case 'literal':
    case 'picklist': {
      const allowed = inner.type === 'literal' ? [inner.literal] : (inner.options ?? []);
      return allowed.find((each) => String(each) === text) ?? text;
    }
    case 'array':
    case 'tuple':
      if (/^\s*\[/.test(text)) return parseFlow(text);
      return text.split(',').map((item) => coerceText(inner.item, item.trim()));
    case 'record':
    case 'object':
    case 'strict_object':
    case 'loose_object':
    case 'object_with_rest':
    case 'variant':
      return parseFlow(text);
    case 'union': {
      const options = (inner.options ?? []) as readonly SchemaNode[];
      const read = options.map((option) => coerceText(option, text)).find((value) => typeof value !== 'string');
      return read ?? text;
    }
    default:
      return text;
  }
}

function parseFlow(text: string): unknown {
  try {
    return parseYaml(text) as unknown;
  } catch {
    return text;
  }
}

/** Keys of a value that its schema does not have, with the names it could have meant. */
export function unknownKeys(schema: SchemaNode | undefined, value: unknown, path: ConfigPath = []): UnknownKey[] {
  const inner = unwrap(schema);
  if (Array.isArray(value)) {
    return value.flatMap((item: unknown, index) => unknownKeys(inner?.item, item, [...path, index]));
  }
  if (!isRecord(value) || inner === undefined) return [];
  if (inner.type === 'record') {
    return Object.entries(value).flatMap(([name, item]) => unknownKeys(inner.value, item, [...path, name]));
  }
  const alternatives = objectAlternatives(inner, value);
  if (alternatives.length === 0) return [];
  const closed = alternatives.every(({ type }) => type === 'object' || type === 'strict_object');
  const entries: Record<string, SchemaNode> = Object.assign({}, ...alternatives.map((each) => each.entries));
  return Object.entries(value).flatMap(([name, item]) => {
    if (Object.hasOwn(entries, name)) return unknownKeys(entries[name], item, [...path, name]);
    return closed ? [{ path: [...path, name], candidates: Object.keys(entries) }] : [];
  });
}

export interface UnknownKey {
  readonly path: ConfigPath;
  readonly candidates: readonly string[];
}

/** "did you mean": the candidate nearest to a misspelled name, when one is near enough to be meant. */
export function nearestName(name: string, candidates: readonly string[]): string | undefined {
  const scored = candidates.map((candidate) => ({ candidate, distance: editDistance(plain(name), plain(candidate)) }));
  const best = scored.sort((a, b) => a.distance - b.distance)[0];
  return best !== undefined && best.distance <= Math.max(1, Math.floor(name.length / 3)) ? best.candidate : undefined;
}

/** Levenshtein's, on short names. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

function plain(name: string): string {
  return name.replaceAll(/[_-]/g, '').toLowerCase();
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
