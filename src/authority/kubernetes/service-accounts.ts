import { readFileSync } from 'node:fs';
import { parseIssuerKeys, TOKEN_ALGORITHMS } from '../../crypto/issuer-keys.ts';
import { issuerTlsOptions } from '../../crypto/issuer-tls.ts';
import { decodeServiceAccountToken, type ServiceAccountToken } from '../../crypto/service-account-token.ts';
import { agentId, type SpiffeId, type TrustDomain } from '../../domain/agent-id.ts';
import { ShapeError } from '../../domain/json-shape.ts';
import { isMeshError, MeshError } from '../../domain/mesh-error.ts';
import { refusal, type Outcome, type Refusal } from '../refusal.ts';
import { IssuerKeySource, type IssuerKeySourceOptions } from './issuer-key-source.ts';
import type { ClusterConfig } from './kubernetes-config.ts';
import type { BoundToken } from './pod-lineages.ts';

export interface ServiceAccountsOptions extends Omit<IssuerKeySourceOptions, 'cluster'> {
  readonly trustDomain: TrustDomain;
  /** Empty: no token is accepted. */
  readonly clusters: readonly ClusterConfig[];
}

/** A token that is what it says, and the agent that its account stands for. */
export interface AdmittedToken {
  readonly token: BoundToken;
  readonly agent: SpiffeId;
}

interface Cluster {
  readonly config: ClusterConfig;
  readonly keys: IssuerKeySource;
}

/** How far the cluster's clock and ours may be apart, in seconds. */
const LEEWAY_SECONDS = 30;

/**
 * Projected ServiceAccount tokens of Kubernetes as a way to join. They are verified offline, by the issuer's public
 * keys: the token of a pod that was deleted is good until it ends, so it should be short (10 minutes).
 */
export class ServiceAccounts {
  readonly #options: ServiceAccountsOptions;
  readonly #clusters: ReadonlyMap<string, Cluster>;

  constructor(options: ServiceAccountsOptions) {
    this.#options = options;
    this.#clusters = new Map(
      options.clusters.map((config) => [
        config.issuer,
        { config, keys: new IssuerKeySource({ ...options, cluster: config }) },
      ]),
    );
  }

  /** The first check that fails is the reason. Nothing of a token is believed before its signature. Fails closed. */
  async verify(compact: string): Promise<Outcome<AdmittedToken>> {
    const decoded = decode(compact);
    if (!decoded.ok) return decoded;
    const token = decoded.value;
    const cluster = this.#clusters.get(token.issuer);
    if (cluster === undefined) {
      const issuer = JSON.stringify(token.issuer.slice(0, 200));
      return refusal('UNAUTHENTICATED', 'ISSUER_UNKNOWN', `this authority accepts no tokens of ${issuer}`);
    }
    const { config, keys } = cluster;
    return (
      checkAlgorithm(token) ??
      (await checkSignature(token, keys)) ??
      this.#checkTime(token) ??
      checkAudience(token, config) ??
      this.#resolve(token, config)
    );
  }

  #checkTime({ notBefore, issuedAt, expires }: ServiceAccountToken): Refusal | undefined {
    const now = this.#options.clock.now() / 1000;
    const from = Math.max(notBefore, issuedAt);
    if (now < from - LEEWAY_SECONDS) {
      const detail = `the token is valid from ${iso(from)}, it is ${iso(now)}`;
      return refusal('UNAUTHENTICATED', 'TOKEN_NOT_YET_VALID', detail);
    }
    if (now >= expires + LEEWAY_SECONDS) {
      return refusal('UNAUTHENTICATED', 'TOKEN_EXPIRED', `the token ended at ${iso(expires)}, it is ${iso(now)}`);
    }
    return undefined;
  }

  #resolve(token: ServiceAccountToken, { accounts }: ClusterConfig): Outcome<AdmittedToken> {
    const { pod, namespace, account } = token;
    if (pod === undefined) return refusal('UNAUTHENTICATED', 'TOKEN_NOT_BOUND', 'the token names no pod');
    const name = `${namespace}/${account}`;
    const agent = Object.hasOwn(accounts, name) ? accounts[name] : undefined;
    if (agent === undefined) {
      return refusal('PERMISSION_DENIED', 'SERVICE_ACCOUNT_UNKNOWN', `${name} stands for no agent`);
    }
    return { ok: true, value: { token: { ...token, pod }, agent: agentId(this.#options.trustDomain, agent) } };
  }
}

function decode(compact: string): Outcome<ServiceAccountToken> {
  try {
    return { ok: true, value: decodeServiceAccountToken(compact) };
  } catch (error) {
    if (!(error instanceof ShapeError)) throw error;
    return refusal('INVALID_ARGUMENT', 'TOKEN_MALFORMED', error.message);
  }
}

function checkAlgorithm({ algorithm }: ServiceAccountToken): Refusal | undefined {
  if (TOKEN_ALGORITHMS.includes(algorithm)) return undefined;
  const detail = `the token is signed by ${algorithm}; ${TOKEN_ALGORITHMS.join(', ')} are accepted`;
  return refusal('UNAUTHENTICATED', 'TOKEN_ALGORITHM_REFUSED', detail);
}

async function checkSignature(token: ServiceAccountToken, source: IssuerKeySource): Promise<Refusal | undefined> {
  let answer = await source.current();
  let verdict = answer.ok ? await answer.keys.verify(token) : undefined;
  if (verdict === 'key_unknown') {
    // The issuer may have a new key since.
    answer = await source.newer();
    verdict = answer.ok ? await answer.keys.verify(token) : undefined;
  }
  if (!answer.ok) {
    // Transient by its gRPC status: the sidecar asks again.
    return refusal('UNAVAILABLE', 'ISSUER_UNREACHABLE', `the keys of ${token.issuer} cannot be had: ${answer.detail}`);
  }
  switch (verdict) {
    case 'valid':
      return undefined;
    case 'key_unknown':
      return refusal(
        'UNAUTHENTICATED',
        'TOKEN_KEY_UNKNOWN',
        `${token.issuer} has no key of the id that the token names`,
      );
    default:
      return refusal(
        'UNAUTHENTICATED',
        'TOKEN_SIGNATURE_INVALID',
        "the signature does not verify with the issuer's key",
      );
  }
}

function checkAudience({ audiences }: ServiceAccountToken, { audience }: ClusterConfig): Refusal | undefined {
  if (audiences.includes(audience)) return undefined;
  const theirs = JSON.stringify(audiences).slice(0, 300);
  return refusal('UNAUTHENTICATED', 'TOKEN_AUDIENCE_MISMATCH', `the token is for ${theirs}, not for "${audience}"`);
}

function iso(seconds: number): string {
  return Math.abs(seconds) <= 8.64e12 ? new Date(seconds * 1000).toISOString() : `${seconds} s after 1970`;
}

/**
 * Looks at the files that the section names, so that a mistake shows when the authority starts and not when the first
 * pod does.
 *
 * @throws MeshError `CONFIG_INVALID` naming the setting
 */
export function checkClusterFiles(clusters: readonly ClusterConfig[]): void {
  for (const [index, { jwks_file: jwks, ca_file: ca }] of clusters.entries()) {
    if (jwks !== undefined) checkFile(`kubernetes[${index}].jwks_file`, jwks, parseIssuerKeys);
    if (ca !== undefined) checkFile(`kubernetes[${index}].ca_file`, ca, issuerTlsOptions);
  }
}

function checkFile(setting: string, path: string, read: (text: string) => unknown): void {
  try {
    read(readFileSync(path, 'utf8'));
  } catch (cause) {
    if (!(cause instanceof ShapeError || isMeshError(cause) || (cause as NodeJS.ErrnoException).code !== undefined)) {
      throw cause;
    }
    throw new MeshError('CONFIG_INVALID', `${setting}: ${path} cannot be used: ${(cause as Error).message}`, { cause });
  }
}
