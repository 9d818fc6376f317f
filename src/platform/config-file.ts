import { readFileSync } from 'node:fs';
import { isMap, isNode, isScalar, isSeq, LineCounter, parseDocument, type Document } from 'yaml';
import { isRecord, type ConfigPath } from './config-schema.ts';

/** More is no configuration but a mistake, or an attack on the parser. */
const MAX_FILE_BYTES = 1024 * 1024;

export interface FileProblem {
  readonly message: string;
  /** `file config.yaml:12:5`, or without a place where there is none. */
  readonly source: string;
}

export interface ConfigFile {
  /** The document's mapping; empty for an empty file or one with problems. */
  readonly value: Record<string, unknown>;
  readonly problems: readonly FileProblem[];
  /** Where a path stands in the file: itself, or the nearest thing above it that is there. */
  locate(path: ConfigPath): string;
}

/** Reads a YAML 1.2 file: syntax errors, duplicate keys and a root that is no mapping are problems, none is thrown. */
export function readConfigFile(path: string): ConfigFile {
  const nowhere = (message: string): ConfigFile => ({
    value: {},
    problems: [{ message, source: `file ${path}` }],
    locate: () => `file ${path}`,
  });
  let text: string;
  try {
    const bytes = readFileSync(path);
    if (bytes.length > MAX_FILE_BYTES) return nowhere(`is larger than ${MAX_FILE_BYTES} bytes`);
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    return nowhere(`cannot be read: ${(error as Error).message}`);
  }

  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true, strict: true });
  const at = (offset: number): string => {
    const { line, col } = lines.linePos(offset);
    return `file ${path}:${line}:${col}`;
  };
  const locate = (place: ConfigPath): string => at(offsetOf(document, place) ?? 0);
  const problems: FileProblem[] = [...document.errors, ...document.warnings].map((error) => ({
    message: error.message,
    source: at(error.pos[0]),
  }));
  let value: unknown;
  try {
    value = problems.length > 0 ? {} : (document.toJS({ maxAliasCount: 100 }) ?? {});
  } catch (error) {
    // Aliases that expand without end.
    return nowhere((error as Error).message);
  }
  if (isRecord(value)) return { value, problems, locate };
  return {
    value: {},
    problems: [...problems, { message: 'must be a mapping of keys to values', source: at(0) }],
    locate,
  };
}

/** The key of the deepest part of a path that the document has. */
function offsetOf(document: Document, path: ConfigPath): number | undefined {
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
      if (!isNode(node)) break;
      offset = node.range?.[0] ?? offset;
    } else break;
  }
  return offset;
}
