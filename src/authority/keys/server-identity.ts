import { pinOfServerName, type RootPin } from '../../crypto/root-pin.ts';
import { createTlsContext, type TlsContext } from '../../crypto/tls-context.ts';
import { after, type Clock } from '../../platform/clock.ts';
import type { Logger } from '../../platform/logger.ts';
import type { AuthorityMetrics } from '../authority-metrics.ts';
import type { CertificateAuthority } from './certificate-authority.ts';

export interface ServerIdentityOptions {
  readonly authority: CertificateAuthority;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: AuthorityMetrics;
  /** There is new material for whoever says nothing about roots. */
  readonly onRotated: (context: TlsContext) => void;
}

/**
 * What the authority's listener shows: one certificate for each root of the ring. A client that knows only one of them
 * says so by the name it asks for (SNI), since a server can show only one; without a name, or for a root that is gone,
 * it gets the active root's. Renewed halfway, and whenever the ring changes.
 */
export class ServerIdentity {
  readonly #options: ServerIdentityOptions;
  #contexts: ReadonlyMap<RootPin, TlsContext> = new Map();
  #cancelRenewal: (() => void) | undefined;
  #stopped = false;

  constructor(options: ServerIdentityOptions) {
    this.#options = options;
    this.#renew();
    options.authority.onChange(() => this.#rotate());
  }

  /** By the active root. */
  get context(): TlsContext {
    const context = this.#contexts.get(this.#options.authority.rootSha256);
    if (context === undefined) throw new TypeError('there is no certificate by the active root');
    return context;
  }

  /** For a name that a client asked for. */
  contextFor(serverName: string): TlsContext {
    return this.#contexts.get(pinOfServerName(serverName) ?? '') ?? this.context;
  }

  stop(): void {
    this.#stopped = true;
    this.#cancelRenewal?.();
  }

  #rotate(): void {
    if (this.#stopped) return;
    this.#renew();
    this.#options.onRotated(this.context);
    this.#options.logger.info('server_certificate_rotated', {});
  }

  #renew(): void {
    const { authority, clock, metrics } = this.#options;
    const caPems = authority.roots.map((root) => root.toString());
    const issued = authority.rootPins.map((pin) => [pin, authority.issueServerIdentity(pin)] as const);
    this.#contexts = new Map(
      issued.map(([pin, { certPem, keyPem }]) => [pin, createTlsContext({ certPem, keyPem, caPems })]),
    );
    const notAfter = Math.min(...issued.map(([, material]) => material.notAfter));
    metrics.certificateExpiry.set({ kind: 'server', phase: 'active' }, notAfter / 1000);
    this.#cancelRenewal?.();
    this.#cancelRenewal = after({
      delayMs: Math.max((notAfter - clock.now()) / 2, 1_000),
      keepAlive: false,
      run: () => this.#rotate(),
    });
  }
}
