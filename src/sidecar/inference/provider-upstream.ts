import { readFileSync } from 'node:fs';
import { connect as tcpConnect, type Socket } from 'node:net';
import { resolve } from 'node:path';
import { connect as tlsConnect } from 'node:tls';
import { publicTlsOptions } from '../../crypto/tls-context.ts';
import { MeshError } from '../../domain/mesh-error.ts';
import { rejection } from '../../domain/rejection.ts';
import { after, type Clock } from '../../platform/clock.ts';
import type { Logger } from '../../platform/logger.ts';
import type { Readiness } from '../../platform/readiness.ts';
import { CallRefused, endOf } from './call-refused.ts';
import { ConnectionPool } from './connection-pool.ts';
import { INFERENCE_BLOCKER } from './inference-blocker.ts';
import type { ProviderConfig } from './inference-section.ts';
import { ProviderKey, type KnownKey } from './provider-key.ts';
import { UpstreamConnection, type UpstreamTimeouts } from './upstream-connection.ts';
import type { Upstream, UpstreamAnswer, UpstreamRequest } from './upstream.ts';

export interface ProviderUpstreamOptions {
  readonly config: ProviderConfig;
  /** Relative paths start here. */
  readonly folder: string;
  readonly connectTimeoutMs: number;
  readonly timeouts: UpstreamTimeouts;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly readiness: Readiness;
}

const PEM = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/**
 * An OpenAI-compatible server that is no part of the mesh. It proves its host name and nothing of what it runs; its key
 * is added here, so that the agent never has it; nor may an answer bring it there, see {@link UpstreamAnswer.echo}.
 */
export class ProviderUpstream implements Upstream {
  readonly name = 'provider';
  readonly #options: ProviderUpstreamOptions;
  readonly #url: URL;
  readonly #caPems: readonly string[] | undefined;
  readonly #key: ProviderKey | undefined;
  readonly #pool = new ConnectionPool<UpstreamConnection>();

  /** @throws MeshError `FILE_UNREADABLE`, `CERTIFICATE_INVALID` for `ca_file` */
  constructor(options: ProviderUpstreamOptions) {
    this.#options = options;
    const { config, folder, logger, readiness } = options;
    this.#url = new URL(config.base_url ?? config.insecure_base_url ?? '');
    this.#caPems = config.ca_file === undefined ? undefined : readCertificates(resolve(folder, config.ca_file));
    const path = config.api_key_file;
    const onChange = (problem: string | undefined): void => {
      if (problem === undefined) readiness.clear(INFERENCE_BLOCKER);
      else readiness.block(INFERENCE_BLOCKER, problem);
      // What was opened under the old key is not used under the new one.
      this.#pool.closeIdle();
    };
    if (path !== undefined) this.#key = new ProviderKey({ path: resolve(folder, path), logger, onChange });
  }

  async start(): Promise<void> {
    if (this.#key === undefined) this.#options.readiness.clear(INFERENCE_BLOCKER);
    await this.#key?.start();
  }

  async stop(): Promise<void> {
    this.#pool.endAll(rejection('PEER_DRAINING', 'this sidecar is shutting down'));
    await this.#key?.stop();
  }

  /** Nothing in the signed state speaks of providers. */
  reconsider(): void {}

  async send(request: UpstreamRequest): Promise<UpstreamAnswer> {
    const key = this.#currentKey();
    const connection = this.#pool.take() ?? (await this.#open(request.signal));
    const path = `${this.#url.pathname.replace(/\/$/, '')}${request.path}`;
    const headers = { ...request.headers, ...(key !== undefined && { authorization: `Bearer ${key.value}` }) };
    const answer = await connection.send({ ...request, path, headers }, () => this.#pool.giveBack(connection));
    return key === undefined ? answer : { ...answer, echo: key.echo };
  }

  /** @returns `undefined` where none is configured. @throws CallRefused */
  #currentKey(): KnownKey | undefined {
    if (this.#key === undefined) return undefined;
    const { current } = this.#key;
    if (current !== undefined) return current;
    throw new CallRefused(rejection('INFERENCE_UNAVAILABLE', "the provider's key cannot be read"));
  }

  async #open(signal: AbortSignal): Promise<UpstreamConnection> {
    const { clock, timeouts } = this.#options;
    const connection = new UpstreamConnection({
      socket: await this.#connect(signal),
      authority: this.#url.host,
      clock,
      timeouts,
      onGone: (gone) => this.#pool.gone(gone),
    });
    this.#pool.add(connection);
    return connection;
  }

  /** @throws CallRefused */
  #connect(signal: AbortSignal): Promise<Socket> {
    const { connectTimeoutMs } = this.#options;
    const { protocol, hostname } = this.#url;
    const host = hostname.replace(/^\[(.*)\]$/, '$1');
    const isSecure = protocol === 'https:';
    const port = this.#url.port === '' ? (isSecure ? 443 : 80) : Number(this.#url.port);
    return new Promise((open, reject) => {
      const socket = isSecure
        ? tlsConnect({ ...publicTlsOptions(host, this.#caPems), port })
        : tcpConnect({ host, port });
      socket.setNoDelay(true);
      const giveUp = (cause: Error): void => {
        finish();
        socket.destroy();
        reject(cause);
      };
      const fail = (detail: string): void =>
        giveUp(new CallRefused(rejection('INFERENCE_UNAVAILABLE', `${this.#url.host}: ${detail}`)));
      const cancel = after({
        delayMs: connectTimeoutMs,
        run: () => fail(`no connection within ${connectTimeoutMs} ms`),
      });
      const onAbort = (): void => giveUp(endOf(signal));
      const onError = (error: Error): void => fail(error.message);
      const finish = (): void => {
        cancel();
        signal.removeEventListener('abort', onAbort);
        socket.off('error', onError);
        // From here on an error is followed by 'close', which is what users of the socket act on.
        socket.on('error', () => undefined);
      };
      signal.addEventListener('abort', onAbort, { once: true });
      socket.once('error', onError);
      socket.once(isSecure ? 'secureConnect' : 'connect', () => {
        finish();
        open(socket);
      });
    });
  }
}

function readCertificates(path: string): readonly string[] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new MeshError('FILE_UNREADABLE', `inference.provider.ca_file: ${path}: ${(cause as Error).message}`, {
      cause,
    });
  }
  const pems = text.match(PEM) ?? [];
  if (pems.length === 0) {
    throw new MeshError('CERTIFICATE_INVALID', `inference.provider.ca_file: ${path} has no certificate in PEM`);
  }
  publicTlsOptions('localhost', pems);
  return pems;
}
