import { safeParse, type BaseIssue, type BaseSchema, type InferOutput } from 'valibot';
import { MeshError } from '../domain/mesh-error.ts';
import { readConfigFile, type ConfigFile } from './config-file.ts';
import {
  coerceText,
  formatPath,
  isRecord,
  nearestName,
  stepInto,
  unknownKeys,
  unwrap,
  type ConfigPath,
  type SchemaNode,
} from './config-schema.ts';
import type { Environment } from './environment.ts';
import { isSecretName } from './secret-name.ts';

export interface ConfigProblem {
  /** `peers[0].agent`; empty when it is about the whole. */
  readonly path: string;
  readonly message: string;
  /** `file config.yaml:12:5`, `env AIT_X`, `flag --x`, or `default` where nothing set it. */
  readonly source: string;
  readonly hint?: string;
}

/** All that is wrong with a configuration, at once; its message lists every problem. Code `CONFIG_INVALID`. */
export class ConfigError extends MeshError {
  override readonly name = 'ConfigError';
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[]) {
    super('CONFIG_INVALID', `the configuration has problems:\n${formatProblems(problems)}`);
    this.problems = problems;
  }
}

/** One problem a line, `path: message (source)`, its hint on the next. */
export function formatProblems(problems: readonly ConfigProblem[]): string {
  return problems
    .map(({ path, message, source, hint }) => {
      const line = `  ${path === '' ? '' : `${path}: `}${message} (${source})`;
      return hint === undefined ? line : `${line}\n      ${hint}`;
    })
    .join('\n');
}

type AnySchema = BaseSchema<unknown, unknown, BaseIssue<unknown>>;

export interface LoadConfigOptions<TSchema extends AnySchema> {
  readonly schema: TSchema;
  /** A YAML file; one that is named must exist. */
  readonly file?: string;
  readonly env: Environment;
  /** Dotted path to text: `{'peers.0.agent': '…', 'admin.socket': '…'}`; undefined counts as not given. */
  readonly flags?: Readonly<Record<string, string | undefined>>;
  /** How a path is given on the command line, for messages. Default `--path`. */
  readonly flagName?: (path: string) => string;
  /** Default `AIT_`. */
  readonly envPrefix?: string;
  /** Variables with the prefix that are no configuration, by full name. */
  readonly ignoredEnv?: readonly string[];
}

/**
 * Reads the configuration: the file, over it the environment, over that the flags; then validates the whole.
 *
 * A variable is the prefix and the path, `__` between levels and words in upper case: `AIT_ADMIN__SOCKET_PATH` is
 * `admin.socketPath`, `AIT_PEERS__0__AGENT` is `peers[0].agent`. Lists are `a,b` or YAML `[a, b]`. A variable or key
 * that the schema does not have is a problem, so that a misspelled safeguard is noticed; so is an empty text anywhere,
 * as nobody can tell what it was meant to be.
 *
 * @returns the validated value with all defaults, frozen to its depths.
 * @throws ConfigError with all problems.
 */
export function loadConfig<TSchema extends AnySchema>(options: LoadConfigOptions<TSchema>): InferOutput<TSchema> {
  const schema = options.schema as unknown as SchemaNode;
  const file = options.file === undefined ? undefined : readConfigFile(options.file);
  const prefix = options.envPrefix ?? 'AIT_';
  const flagName = options.flagName ?? ((path: string) => `--${path}`);
  const draft = new Draft({ schema, file, prefix, flagName });
  const ignored = new Set(options.ignoredEnv);
  for (const [name, text] of Object.entries(options.env).sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (!name.startsWith(prefix) || text === undefined || ignored.has(name) || isServiceLink(name, text)) continue;
    draft.set({ segments: name.slice(prefix.length).split('__'), text, source: `env ${name}` });
  }
  for (const [name, text] of Object.entries(options.flags ?? {})) {
    if (text === undefined) continue;
    const segments = name.replaceAll(/\[(\d+)\]/g, '.$1').split('.');
    draft.set({ segments, text, source: `flag ${flagName(name)}` });
  }
  draft.checkShape();

  const result = safeParse(options.schema, draft.value, { abortEarly: false });
  for (const issue of result.issues ?? []) draft.addIssue(issue);
  if (draft.problems.length > 0) throw new ConfigError(draft.problems);
  deepFreeze(result.output);
  return result.output;
}

interface PlacedIssue {
  readonly issue: BaseIssue<unknown>;
  readonly path: ConfigPath;
}

/**
 * What is wrong within an alternative, where only one can have been meant: the one that was followed furthest. Otherwise
 * what is wrong with all of them, that is the issue itself.
 */
function innermost({ issue, path }: PlacedIssue): readonly PlacedIssue[] {
  const inner = (issue.issues ?? []).flatMap((each) => innermost({ issue: each, path: [...path, ...pathOf(each)] }));
  const deepest = Math.max(path.length, ...inner.map((each) => each.path.length));
  const candidates = inner.filter((each) => each.path.length === deepest);
  const places = new Set(candidates.map((each) => formatPath(each.path)));
  const clear = deepest > path.length + 1 || (deepest > path.length && places.size === 1);
  return clear ? candidates : [{ issue, path }];
}

function pathOf(issue: BaseIssue<unknown>): ConfigPath {
  return (issue.path ?? []).map(({ key }) => (typeof key === 'number' ? key : String(key)));
}

/** The configuration while it is put together, and where each part came from. */
class Draft {
  readonly value: Record<string, unknown>;
  readonly problems: ConfigProblem[] = [];
  readonly #schema: SchemaNode;
  readonly #file: ConfigFile | undefined;
  readonly #prefix: string;
  readonly #flagName: (path: string) => string;
  /** By formatted path: what was set by a variable or a flag. */
  readonly #sources = new Map<string, string>();

  constructor(parts: {
    schema: SchemaNode;
    file: ConfigFile | undefined;
    prefix: string;
    flagName: (path: string) => string;
  }) {
    const { schema, file, prefix, flagName } = parts;
    this.#schema = schema;
    this.#file = file;
    this.#prefix = prefix;
    this.#flagName = flagName;
    this.value = file?.value ?? {};
    for (const problem of file?.problems ?? []) this.problems.push({ path: '', ...problem });
  }

  set(setting: { segments: readonly string[]; text: string; source: string }): void {
    const { text, source } = setting;
    const path: (string | number)[] = [];
    let schema: SchemaNode | undefined = this.#schema;
    for (const segment of setting.segments) {
      const step = stepInto(schema, segment);
      if (step === undefined) {
        const names = Object.keys(unwrap(schema)?.entries ?? {});
        this.#add({ path: [...path, segment], message: 'is not a setting', source, ...didYouMean(segment, names) });
        return;
      }
      path.push(step.name);
      schema = step.schema;
    }
    this.#sources.set(formatPath(path), source);
    if (text === '') {
      this.#add({ path, message: 'is empty', source, hint: 'give it a value, or do not set it' });
      return;
    }
    if (!assign(this.value, path, coerceText(schema, text))) {
      this.#add({ path, message: 'is inside something that is no list or mapping', source });
    }
  }

  /** Finds keys the schema does not have, and empty texts. */
  checkShape(): void {
    for (const { path, candidates } of unknownKeys(this.#schema, this.value)) {
      const name = String(path.at(-1));
      this.#add({ path, message: 'is not a setting', ...didYouMean(name, candidates) });
    }
    for (const path of unusableNames(this.value, [])) {
      this.#add({
        path,
        message: 'is a name that cannot be used',
        hint: 'choose another: JavaScript gives it a meaning',
      });
    }
    for (const path of emptyTexts(this.value, [])) {
      this.#add({ path, message: 'is empty', hint: 'give it a value, or leave it out' });
    }
  }

  addIssue(issue: BaseIssue<unknown>): void {
    for (const each of innermost({ issue, path: pathOf(issue) })) this.#addPlaced(each);
  }

  #addPlaced({ issue, path }: PlacedIssue): void {
    const text = formatPath(path);
    // What has been said about a place in our own words is not said again in the validator's.
    if (this.problems.some((problem) => problem.path === text && text !== '')) return;
    if (this.#file !== undefined && this.#file.problems.length > 0 && !this.#sources.has(text)) return;
    const missing = issue.received === 'undefined';
    const hidden = path.some((part) => typeof part === 'string' && isSecretName(part)) && !missing;
    this.#add({
      path,
      message: missing ? 'is required' : hidden ? 'does not have an acceptable value' : issue.message,
      ...(missing
        ? {
            hint: `set it in the file, as ${variableName(this.#prefix, path)} or with ${this.#flagName(path.join('.'))}`,
          }
        : {}),
    });
  }

  #add(problem: { path: ConfigPath; message: string; source?: string; hint?: string }): void {
    const { path, message, hint } = problem;
    const source = problem.source ?? this.#sourceOf(path);
    this.problems.push({ path: formatPath(path), message, source, ...(hint === undefined ? {} : { hint }) });
  }

  #sourceOf(path: ConfigPath): string {
    for (let length = path.length; length > 0; length -= 1) {
      const source = this.#sources.get(formatPath(path.slice(0, length)));
      if (source !== undefined) return source;
    }
    return this.#file?.locate(path) ?? 'default';
  }
}

/** The variable that sets a path: `admin.socketPath` is `AIT_ADMIN__SOCKET_PATH`. */
export function variableName(prefix: string, path: ConfigPath): string {
  const parts = path.map((part) =>
    String(part)
      .replaceAll(/([a-z0-9])([A-Z])/g, '$1_$2')
      .toUpperCase(),
  );
  return `${prefix}${parts.join('__')}`;
}

function didYouMean(name: string, candidates: readonly string[]): { hint?: string } {
  const nearest = nearestName(name, candidates);
  if (nearest !== undefined) return { hint: `did you mean ${nearest}?` };
  return candidates.length > 0 ? { hint: `it can be: ${candidates.join(', ')}` } : {};
}

/** Kubernetes sets `AIT_AUTHORITY_SERVICE_HOST`, `AIT_AUTHORITY_PORT=tcp://…` for a Service `ait-authority`. */
function isServiceLink(name: string, text: string): boolean {
  if (/_SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)$/.test(name)) return true;
  return /_PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?$/.test(name) && (/_\d+_/.test(name) || text.includes('://'));
}

/** Puts a value at a path, making what is missing on the way. @returns whether the way was free. */
function assign(root: Record<string, unknown>, path: ConfigPath, value: unknown): boolean {
  let container: unknown = root;
  for (const [index, part] of path.entries()) {
    const fits = typeof part === 'number' ? Array.isArray(container) : isRecord(container);
    if (!fits) return false;
    const holder = container as Record<string | number, unknown>;
    const existing = Object.hasOwn(holder, part) ? holder[part] : undefined;
    const next = index === path.length - 1 ? value : (existing ?? (typeof path[index + 1] === 'number' ? [] : {}));
    // Not an assignment: a key named `__proto__` would set the prototype.
    Object.defineProperty(holder, part, { value: next, enumerable: true, writable: true, configurable: true });
    container = next;
  }
  return true;
}

/** Names that the validator skips without a word: what stands under them would never be looked at. */
const UNUSABLE: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);

function unusableNames(value: unknown, path: ConfigPath): ConfigPath[] {
  if (Array.isArray(value)) return value.flatMap((item: unknown, index) => unusableNames(item, [...path, index]));
  if (!isRecord(value)) return [];
  return Object.entries(value).flatMap(([name, item]) =>
    UNUSABLE.has(name) ? [[...path, name]] : unusableNames(item, [...path, name]),
  );
}

function emptyTexts(value: unknown, path: ConfigPath): ConfigPath[] {
  if (value === '' || value === null) return [path];
  if (Array.isArray(value)) return value.flatMap((item: unknown, index) => emptyTexts(item, [...path, index]));
  if (!isRecord(value)) return [];
  return Object.entries(value).flatMap(([name, item]) => emptyTexts(item, [...path, name]));
}

function deepFreeze(value: unknown): void {
  if (!Array.isArray(value) && !isRecord(value)) return;
  for (const inner of Object.values(value)) deepFreeze(inner);
  Object.freeze(value);
}
