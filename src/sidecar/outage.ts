import type { VerifiedToken } from '../domain/identity-token.ts';
import type { MeshState } from '../domain/mesh-state.ts';

/** How long this sidecar may go on without the authority, and what ends first. */
export interface OutageMargin {
  /** Milliseconds, 0 or more. */
  readonly remainingMs: number;
  readonly bound: 'state' | 'ait' | 'svid';
}

export interface OutageQuestion {
  readonly state: MeshState | undefined;
  readonly generation: { readonly notAfter: number; readonly token: VerifiedToken | undefined } | undefined;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/**
 * The least of what is left of the signed state, of our token and of our certificate. With the lifetimes that the
 * authority chooses by itself the state is what ends first.
 *
 * @returns `undefined` before all three were there once
 */
export function outageMargin({ state, generation, now }: OutageQuestion): OutageMargin | undefined {
  if (state === undefined || generation?.token === undefined) return undefined;
  const ends = [
    { bound: 'state', at: state.head.notAfter },
    { bound: 'ait', at: generation.token.claims.exp * 1000 },
    { bound: 'svid', at: generation.notAfter },
  ] as const;
  const first = ends.reduce((least, end) => (end.at < least.at ? end : least));
  return { remainingMs: Math.max(0, first.at - now), bound: first.bound };
}
