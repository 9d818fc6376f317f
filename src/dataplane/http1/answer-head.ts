import { parseLength } from '../gate/field-rules.ts';
import { isReserved, REFUSAL_FIELD } from '../gate/reserved-fields.ts';
import { HOP_BY_HOP, isHiddenFraming } from './field-names.ts';
import { readHeaderLines, type FieldTaker, type FlatFields } from './header-lines.ts';

/** How the end of an answer's body is told; `close`: by the end of the connection. */
export type AnswerFraming = 'none' | 'length' | 'chunked' | 'close';

export interface AnswerHead {
  readonly status: number;
  readonly reason: string;
  /** What goes on, the length of the body included. */
  readonly fields: FlatFields;
  readonly framing: AnswerFraming;
  /** Of the body that follows; 0 unless the framing is `length`. */
  readonly length: number;
  /** Whether the connection may be used for another request. */
  readonly keepsAlive: boolean;
  /** How long it may be idle before that, ms, as far as the callee says; `undefined`: it does not say. */
  readonly keepAliveMs: number | undefined;
  /** Set where the peer's sidecar answered instead of its agent: the correlation id that it gave. */
  readonly refusedUnder: string | undefined;
  /** Lower case; empty: none was stated. */
  readonly contentType: string;
  /** Whether a content coding was applied. */
  readonly isEncoded: boolean;
}

export type AnswerReading =
  { readonly ok: true; readonly head: AnswerHead } | { readonly ok: false; readonly problem: string };

export interface AnswerTerms {
  /** Of the request. */
  readonly method: string;
  /** Whether it comes from another sidecar, which may say that it answered itself. */
  readonly fromSidecar: boolean;
}

const STATUS_LINE = /^HTTP\/1\.([01]) ([1-5]\d\d)(?: ([\t\x20-\x7e\x80-\xff]*))?$/;

/**
 * Reads the head of an answer as strictly as that of a request: a callee must not be able to have one answer taken for two.
 *
 * @param text up to the empty line, without it
 */
export function readAnswerHead(text: string, { method, fromSidecar }: AnswerTerms): AnswerReading {
  const lineEnd = text.indexOf('\r\n');
  const [, minor, status = '', reason = ''] = STATUS_LINE.exec(lineEnd < 0 ? text : text.slice(0, lineEnd)) ?? [];
  if (minor === undefined) return { ok: false, problem: 'a status line that is none' };
  const fields = new AnswerFields(fromSidecar);
  const problem = lineEnd < 0 ? undefined : readHeaderLines(text, lineEnd + 2, fields);
  if (problem !== undefined) return { ok: false, problem };
  return fields.finish({ method, status: Number(status), reason, isOld: minor === '0' });
}

class AnswerFields implements FieldTaker {
  readonly #fromSidecar: boolean;
  readonly #fields: FlatFields = [];
  #length: number | undefined;
  #chunked = false;
  #closes = false;
  #keeps = false;
  #listed: Set<string> | undefined;
  #keepAliveMs: number | undefined;
  #refused = false;
  #correlationId = '';
  #contentType = '';
  #isEncoded = false;

  constructor(fromSidecar: boolean) {
    this.#fromSidecar = fromSidecar;
  }

  take(lower: string, name: string, value: string): string | undefined {
    switch (lower) {
      case 'content-length':
        if (this.#length !== undefined) return 'Content-Length twice';
        this.#length = parseLength(value);
        return this.#length === undefined ? 'Content-Length that is no length' : undefined;
      case 'transfer-encoding':
        if (this.#chunked || value.toLowerCase() !== 'chunked') return 'Transfer-Encoding other than chunked';
        this.#chunked = true;
        return undefined;
      case 'connection':
        this.#takeConnection(value);
        return undefined;
      case 'keep-alive':
        this.#keepAliveMs = Number(/(?:^|[,; ])timeout=(\d{1,6})/i.exec(value)?.[1] ?? Number.NaN) * 1000;
        return undefined;
      case 'content-type':
        this.#contentType = value.toLowerCase();
        break;
      case 'content-encoding':
        this.#isEncoded ||= value !== '' && value.toLowerCase() !== 'identity';
        break;
      case REFUSAL_FIELD.reason:
        this.#refused = this.#fromSidecar;
        break;
      case REFUSAL_FIELD.correlationId:
        this.#correlationId = value;
        break;
      default:
        if (isHiddenFraming(lower)) return `${lower}, which some clients read as another field`;
        if (HOP_BY_HOP.has(lower)) return undefined;
    }
    this.#fields.push(name, value);
    return undefined;
  }

  #takeConnection(value: string): void {
    // What nearly all say.
    if (value === 'keep-alive') {
      this.#keeps = true;
      return;
    }
    for (const token of value.toLowerCase().split(',')) {
      const option = token.trim();
      if (option === 'close') this.#closes = true;
      else if (option === 'keep-alive') this.#keeps = true;
      else if (option !== '') (this.#listed ??= new Set()).add(option);
    }
  }

  finish(line: {
    readonly method: string;
    readonly status: number;
    readonly reason: string;
    readonly isOld: boolean;
  }): AnswerReading {
    const { status, reason, isOld } = line;
    const problem = (text: string): AnswerReading => ({ ok: false, problem: text });
    if (this.#chunked && this.#length !== undefined) return problem('both Content-Length and Transfer-Encoding');
    if (this.#chunked && isOld) return problem('Transfer-Encoding in HTTP/1.0');
    const isInterim = status < 200;
    if (isInterim && (this.#chunked || this.#length !== undefined)) return problem('a 1xx answer with a body');
    if (status === 101) return problem('101, though nobody asked for another protocol');
    const isBare = isInterim || status === 204 || status === 304 || line.method === 'HEAD';
    const framing = isBare
      ? 'none'
      : this.#chunked
        ? 'chunked'
        : this.#length === undefined
          ? 'close'
          : this.#length > 0
            ? 'length'
            : 'none';
    const fields = this.#kept();
    if (this.#length !== undefined && status !== 204) fields.push('Content-Length', String(this.#length));
    return {
      ok: true,
      head: {
        status,
        reason,
        fields,
        framing,
        length: framing === 'length' ? (this.#length ?? 0) : 0,
        keepsAlive: framing !== 'close' && !this.#closes && (!isOld || this.#keeps),
        keepAliveMs: Number.isFinite(this.#keepAliveMs) ? this.#keepAliveMs : undefined,
        refusedUnder: this.#refused ? this.#correlationId : undefined,
        contentType: this.#contentType,
        isEncoded: this.#isEncoded,
      },
    };
  }

  /** Without what only sidecars may say, unless one does, and without what the callee has listed as the connection's. */
  #kept(): FlatFields {
    const all = this.#fields;
    let isClean = this.#listed === undefined;
    for (let i = 0; isClean && i < all.length; i += 2) if (isReserved((all[i] ?? '').toLowerCase())) isClean = false;
    if (isClean) return all;
    const kept: FlatFields = [];
    for (let i = 0; i + 1 < all.length; i += 2) {
      const [name = '', value = ''] = [all[i], all[i + 1]];
      const lower = name.toLowerCase();
      const mayStay = this.#refused ? !isReserved(lower) || REFUSAL_NAMES.has(lower) : !isReserved(lower);
      if (mayStay && this.#listed?.has(lower) !== true) kept.push(name, value);
    }
    return kept;
  }
}

const REFUSAL_NAMES: ReadonlySet<string> = new Set(Object.values(REFUSAL_FIELD));
