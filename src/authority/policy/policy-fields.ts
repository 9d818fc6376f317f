import {
  parseTrustDomain,
  resolveAgentId,
  trustDomainOf,
  type SpiffeId,
  type TrustDomain,
} from '../../domain/agent-id.ts';
import { isMeshError } from '../../domain/mesh-error.ts';
import { fieldText, type FieldPath, type PolicyProblem, type YamlDocument } from './policy-yaml.ts';

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/;
/** No control, format (also bidirectional) or line-breaking characters: these go to logs and consoles. */
const TEXT = /^[^\p{C}\p{Zl}\p{Zp}]{1,512}$/u;

export interface FieldsOptions {
  readonly file: string;
  readonly trustDomain: TrustDomain;
  readonly document: YamlDocument;
}

/**
 * Reads the members of one document, noting every problem with its place instead of throwing at the first. What cannot
 * be read is `undefined`; whoever builds an object from it asks {@link PolicyFields.ok} first.
 */
export class PolicyFields {
  readonly file: string;
  readonly trustDomain: TrustDomain;
  readonly problems: PolicyProblem[] = [];
  readonly #document: YamlDocument;

  constructor({ file, trustDomain, document }: FieldsOptions) {
    this.file = file;
    this.trustDomain = trustDomain;
    this.#document = document;
  }

  get ok(): boolean {
    return this.problems.every(({ severity }) => severity !== 'error');
  }

  get start(): { readonly line: number; readonly column: number } {
    return this.#document.locate([]);
  }

  problem(path: FieldPath, message: string, severity: PolicyProblem['severity'] = 'error'): undefined {
    this.problems.push({ severity, file: this.file, ...this.#document.locate(path), field: fieldText(path), message });
    return undefined;
  }

  /** A mapping with no other members than these. */
  mapping(path: FieldPath, members: readonly string[]): Readonly<Record<string, unknown>> | undefined {
    const value = this.at(path);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      return this.problem(path, value === undefined ? 'is missing' : 'is not a mapping of keys to values');
    }
    for (const name of Object.keys(value)) {
      if (!members.includes(name)) this.problem([...path, name], `is not known here; it can be: ${members.join(', ')}`);
    }
    return value as Readonly<Record<string, unknown>>;
  }

  has(path: FieldPath): boolean {
    return this.at(path) !== undefined;
  }

  at(path: FieldPath): unknown {
    let value: unknown = this.#document.value;
    for (const part of path) {
      if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined;
      value = (value as Record<string | number, unknown>)[part];
    }
    return value;
  }

  text(path: FieldPath, pattern = TEXT, what = '1 to 512 printable characters'): string | undefined {
    const value = this.at(path);
    if (value === undefined || value === null) return this.problem(path, 'is missing');
    if (typeof value === 'number' || typeof value === 'boolean') {
      return this.problem(path, `is a ${typeof value}; put it in quotes to make it a text`);
    }
    if (typeof value !== 'string' || !pattern.test(value)) return this.problem(path, `is not ${what}`);
    return value;
  }

  choice<Choice extends string>(path: FieldPath, choices: readonly Choice[]): Choice | undefined {
    const value = this.at(path);
    const choice = choices.find((known) => known === value);
    if (choice !== undefined) return choice;
    return this.problem(
      path,
      `${value === undefined ? 'is missing' : 'is not known'}; it can be: ${choices.join(', ')}`,
    );
  }

  /** An RFC 3339 time with its zone, in milliseconds since the epoch. */
  time(path: FieldPath): number | undefined {
    const text = this.text(path);
    if (text === undefined) return undefined;
    const at = TIME.test(text) ? Date.parse(text) : Number.NaN;
    if (Number.isNaN(at) || at < 0) return this.problem(path, 'is not a time like 2026-01-31T12:00:00Z');
    return at;
  }

  /** A bare agent name, taken to be of our own trust domain, or a whole SPIFFE ID. */
  agent(path: FieldPath, { own = true }: { readonly own?: boolean } = {}): SpiffeId | undefined {
    const text = this.text(path);
    if (text === undefined) return undefined;
    try {
      const id = resolveAgentId(this.trustDomain, text);
      parseTrustDomain(trustDomainOf(id));
      if (own && trustDomainOf(id) !== this.trustDomain) {
        return this.problem(path, `is of the trust domain ${trustDomainOf(id)}; this authority is ${this.trustDomain}`);
      }
      return id;
    } catch (error) {
      if (!isMeshError(error, 'SPIFFE_ID_INVALID')) throw error;
      return this.problem(path, `is not the name of an agent: ${error.message}`);
    }
  }
}
