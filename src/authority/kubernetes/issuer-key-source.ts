import { readFile } from 'node:fs/promises';
import { parseIssuerKeys, type IssuerKeys } from '../../crypto/issuer-keys.ts';
import { JsonError, parseStrictJson } from '../../domain/canonical/strict-json.ts';
import { objectAt, ShapeError, stringAt } from '../../domain/json-shape.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Logger } from '../../platform/logger.ts';
import { RateLimit } from '../../platform/rate-limit.ts';
import type { AuthorityMetrics } from '../authority-metrics.ts';
import { httpsGet } from './https-get.ts';
import type { ClusterConfig } from './kubernetes-config.ts';

/** How long keys count without being asked for again, in ms: so long a key that was withdrawn goes on being good. */
const MAX_AGE_MS = 10 * 60_000;
/** Strangers choose the key ids that are asked for, so they must not choose how often. */
const FETCHES = { burst: 5, perSecond: 0.5 } as const;

export interface IssuerKeySourceOptions {
  readonly cluster: Pick<ClusterConfig, 'issuer' | 'jwks_file' | 'jwks_uri' | 'ca_file'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: AuthorityMetrics;
}

export type KeyAnswer =
  | { readonly ok: true; readonly keys: IssuerKeys }
  /** Why there are none, for the operator. */
  | { readonly ok: false; readonly detail: string };

/**
 * The keys of one issuer: from its discovery document (OpenID Connect Discovery 1.0, section 4), from `jwks_uri`, or
 * from a file. Kept for ten minutes, asked for again when a token names a key that is not among them. When they cannot
 * be had, nothing of the issuer is accepted: fails closed.
 */
export class IssuerKeySource {
  readonly #options: IssuerKeySourceOptions;
  readonly #limit: RateLimit;
  #kept: { readonly keys: IssuerKeys; readonly at: number } | undefined;
  #lastProblem = 'they were never asked for';
  #asking: Promise<KeyAnswer> | undefined;

  constructor(options: IssuerKeySourceOptions) {
    this.#options = options;
    this.#limit = new RateLimit({ ...FETCHES, clock: options.clock });
  }

  /** Keys that are not too old. */
  async current(): Promise<KeyAnswer> {
    const kept = this.#kept;
    if (kept !== undefined && this.#options.clock.monotonic() - kept.at < MAX_AGE_MS)
      return { ok: true, keys: kept.keys };
    return this.#ask();
  }

  /** Keys asked for after the call, unless that was done too often of late. */
  async newer(): Promise<KeyAnswer> {
    // What is on its way already may have been sent before the issuer had the new key.
    await this.#asking;
    return this.#ask();
  }

  #ask(): Promise<KeyAnswer> {
    if (this.#asking !== undefined) return this.#asking;
    if (!this.#limit.take()) {
      this.#options.metrics.issuerKeyFetches.add({ result: 'limited' });
      const detail = `they were asked for very often just now, the last time with the result: ${this.#lastProblem}`;
      return Promise.resolve({ ok: false, detail });
    }
    this.#asking = this.#load().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  async #load(): Promise<KeyAnswer> {
    const { cluster, clock, logger, metrics } = this.#options;
    const { issuer } = cluster;
    try {
      const keys = parseIssuerKeys(await fetchKeySet(cluster));
      this.#kept = { keys, at: clock.monotonic() };
      this.#lastProblem = 'none';
      metrics.issuerKeyFetches.add({ result: 'ok' });
      logger.info('issuer_keys_fetched', { issuer });
      return { ok: true, keys };
    } catch (error) {
      const detail = (error as Error).message;
      this.#lastProblem = detail;
      metrics.issuerKeyFetches.add({ result: 'failed' });
      logger.warn('issuer_keys_not_fetched', { issuer, detail });
      return { ok: false, detail };
    }
  }
}

async function fetchKeySet({ issuer, jwks_file: file, jwks_uri: uri, ca_file: ca }: IssuerKeySourceOptions['cluster']) {
  if (file !== undefined) return readFile(file, 'utf8');
  // Read anew each time: a cluster's CA is renewed, too.
  const caPem = ca === undefined ? undefined : await readFile(ca, 'utf8');
  return httpsGet(uri ?? (await discover(issuer, caPem)), caPem);
}

async function discover(issuer: string, caPem: string | undefined): Promise<string> {
  const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
  const text = await httpsGet(url, caPem);
  try {
    const document = objectAt(parseStrictJson(text, { maxDepth: 8 }), 'it', {
      required: ['issuer', 'jwks_uri'],
      unknown: 'ignore',
    });
    // Section 4.3: or somebody else's document would be taken for the issuer's.
    if (document['issuer'] !== issuer) throw new ShapeError('issuer', 'not the one that was asked');
    return stringAt(document['jwks_uri'], 'jwks_uri', /^https:\/\/[\x21-\x7e]{1,1000}$/, 'an https URL');
  } catch (cause) {
    if (!(cause instanceof ShapeError || cause instanceof JsonError)) throw cause;
    throw new Error(`${url} is no discovery document: ${cause.message}`, { cause });
  }
}
