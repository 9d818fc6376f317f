import { isMap, isNode, isScalar, isSeq, LineCounter, parseAllDocuments, type Document } from 'yaml';

/** A place in a document: member names and list positions from its top. */
export type FieldPath = readonly (string | number)[];

export const PROBLEM_SEVERITIES = ['error', 'warning', 'held'] as const;

/** Something in the policy directory that an operator should look at. */
export interface PolicyProblem {
  /**
   * `error`: the file has no effect, what it last said stays in force. `held`: the same, because the brake holds it or
   * an operator undid it. `warning`: it has an effect, but perhaps not as meant.
   */
  readonly severity: (typeof PROBLEM_SEVERITIES)[number];
  /** Relative to the policy directory. */
  readonly file: string;
  /** From 1; 0 where the file as a whole is meant. */
  readonly line: number;
  readonly column: number;
  /** `digests.tools`; empty where it is about the document or file as a whole. */
  readonly field: string;
  readonly message: string;
}

export interface YamlDocument {
  readonly value: unknown;
  /** Line and column of a field, or of the nearest thing above it that is there. */
  locate(path: FieldPath): { readonly line: number; readonly column: number };
}

export interface YamlFile {
  /** Without empty documents. */
  readonly documents: readonly YamlDocument[];
  readonly problems: readonly PolicyProblem[];
}

/** Against aliases that expand without end. */
const MAX_ALIASES = 50;

/**
 * Reads the documents of one YAML 1.2 file. Syntax errors, duplicate keys, unknown tags and warnings are all problems:
 * what a parser had to guess at is no policy.
 */
export function readYamlFile(file: string, text: string): YamlFile {
  const lines = new LineCounter();
  const parsed = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true, strict: true });
  const documents: YamlDocument[] = [];
  const problems: PolicyProblem[] = [];
  const place = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return { line, column: col };
  };
  for (const document of Array.isArray(parsed) ? parsed : []) {
    const complaints = [...document.errors, ...document.warnings];
    for (const { pos, message } of complaints) {
      problems.push({ severity: 'error', file, ...place(pos[0]), field: '', message: `not valid YAML: ${message}` });
    }
    if (complaints.length > 0 || document.contents === null) continue;
    const start = document.contents.range?.[0] ?? 0;
    try {
      const value: unknown = document.toJS({ maxAliasCount: MAX_ALIASES });
      if (value !== null) documents.push({ value, locate: (path) => place(offsetOf(document, path) ?? start) });
    } catch (error) {
      const message = `not valid YAML: ${(error as Error).message}`;
      problems.push({ severity: 'error', file, ...place(start), field: '', message });
    }
  }
  return { documents, problems };
}

/** `a.b[0]["c d"]`, as the operator reads it. */
export function fieldText(path: FieldPath): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === 'number') return `${text}[${part}]`;
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(part)) return `${text}[${JSON.stringify(part)}]`;
    return text === '' ? part : `${text}.${part}`;
  }, '');
}

/** The path inside a text that {@link fieldText} would write, as the readers of measurements name it. */
export function parseFieldText(text: string): FieldPath {
  const parts = text.matchAll(/\.?([A-Za-z_][A-Za-z0-9_]*)|\[(\d+)\]|\[("(?:[^"\\]|\\.)*")\]/g);
  return [...parts].map(([, name, index, quoted]) => {
    if (name !== undefined) return name;
    return index === undefined ? (JSON.parse(quoted ?? '""') as string) : Number(index);
  });
}

/** The key, or list item, of the deepest part of a path that the document has. */
function offsetOf(document: Document, path: FieldPath): number | undefined {
  let node: unknown = document.contents;
  let offset: number | undefined;
  for (const part of path) {
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === String(part));
      if (pair === undefined) break;
      if (isNode(pair.key)) offset = pair.key.range?.[0] ?? offset;
      node = pair.value;
    } else if (isSeq(node)) {
      node = node.items[Number(part)];
      if (isNode(node)) offset = node.range?.[0] ?? offset;
    } else break;
  }
  return offset;
}
