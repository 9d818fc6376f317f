import type { Blocker } from '../../platform/readiness.ts';
import type { SidecarAddresses } from '../../sidecar/admin-routes.ts';
import type { ReloadStatus } from '../../sidecar/config-reload.ts';

/** What a sidecar says of itself (`GET /status`), as far as it is judged here. Times in ms since the epoch. */
export interface SidecarView {
  /** SPIFFE ID. */
  readonly agent: string;
  readonly version: string;
  readonly instance?: string;
  readonly now: number;
  readonly blockers: readonly Blocker[];
  readonly config: ReloadStatus;
  readonly certificate?: { readonly notBefore: number; readonly notAfter: number };
  readonly ait?: { readonly expires: number };
  readonly state?: { readonly notAfter: number };
  readonly roots: readonly { readonly trustDomain: string; readonly sha256: string; readonly notAfter: number }[];
  /** `skewMs`: the authority's clock minus the sidecar's; absent before its first token. */
  readonly authority: { readonly address: string; readonly skewMs?: number };
  readonly addresses: SidecarAddresses;
}

/** Its configuration in force (`GET /config`), as far as it is judged here. */
export interface ConfigView {
  readonly app?: { readonly address: string; readonly allow_reachable: boolean };
  readonly peers: readonly { readonly agent: string; readonly address?: string }[];
}
