/**
 * The authority's keys and the phases of their lives, as an immutable value: what may follow what, and when. Nothing
 * here reads a clock, makes a key or stores anything.
 */
import type { TrustDomain } from '../../domain/agent-id.ts';
import { CLOCK_LEEWAY_MS } from '../../domain/admission-checks.ts';
import type { Lifetimes } from './lifetimes.ts';

/** `root` signs certificates, `ait` signs AITs, `state` signs state. No key is of two kinds. */
export const KEY_KINDS = ['root', 'ait', 'state'] as const;
export type KeyKind = (typeof KEY_KINDS)[number];

/**
 * `published`: in the trust bundle, signs nothing yet. `active`: signs; there is always exactly one of each kind.
 * `retiring`: still in the bundle for the sake of what it has signed. After that it is gone.
 */
export const KEY_PHASES = ['published', 'active', 'retiring'] as const;
export type KeyPhase = (typeof KEY_PHASES)[number];

/** A key before anything was decided about it. */
export interface KeyMaterial {
  /** A root's SHA-256 in hexadecimal; of another key its JWK thumbprint. */
  readonly id: string;
  /** PKCS#8. */
  readonly keyPem: string;
  /** Only of a root. */
  readonly certPem?: string;
  /** Only of a root: end of its certificate, milliseconds since the epoch. */
  readonly notAfter?: number;
}

export interface RingKey extends KeyMaterial {
  readonly kind: KeyKind;
  readonly phase: KeyPhase;
  /** Milliseconds since the epoch, as all times here. */
  readonly createdAt: number;
  /** When the phase began. */
  readonly since: number;
  /** When the phase ends: of a published and of a retiring key only. */
  readonly endsAt?: number;
  /** The longest life that was ever in force for what it signs, in ms: configuration may have shortened it since. */
  readonly longestLifeMs: number;
}

export interface KeyRing {
  readonly trustDomain: TrustDomain;
  /** Grows by one with each change; the trust bundle carries it. */
  readonly sequence: number;
  /** Of each kind the oldest first. */
  readonly keys: readonly RingKey[];
}

/** One key has entered a phase, or is gone. */
export interface KeyChange {
  readonly key: RingKey;
  readonly phase: KeyPhase | 'gone';
}

/** Time on top of every wait, for clocks that differ a little. */
const MARGIN = { share: 0.1, atMostMs: 60_000 } as const;
/** The share of a root's life after which the next one is made. */
const ROOT_SHARE = 2 / 3;
/** How long what was signed is believed after its own end. */
const LEEWAY_MS: Readonly<Record<KeyKind, number>> = { root: 0, ait: CLOCK_LEEWAY_MS, state: 0 };

export function activeKey(ring: KeyRing, kind: KeyKind): RingKey {
  const active = ring.keys.find((key) => key.kind === kind && key.phase === 'active');
  if (active === undefined) throw new TypeError(`no ${kind} key is active`);
  return active;
}

/** Whether a key of this kind is on its way in or out. */
export function isRotating(ring: KeyRing, kind: KeyKind): boolean {
  return ring.keys.some((key) => key.kind === kind && key.phase !== 'active');
}

/** The ring of a new mesh: one active key of each kind. */
export function firstRing(
  trustDomain: TrustDomain,
  material: Readonly<Record<KeyKind, KeyMaterial>>,
  { now, lifetimes }: { readonly now: number; readonly lifetimes: Lifetimes },
): KeyRing {
  const lives = livesOf(lifetimes);
  const keys = KEY_KINDS.map((kind): RingKey => {
    return { ...material[kind], kind, phase: 'active', createdAt: now, since: now, longestLifeMs: lives[kind] };
  });
  return { trustDomain, sequence: 1, keys };
}

/** What the key signs from now on may live longer than what it has signed. Changes nothing that a sidecar sees. */
export function noteLives(ring: KeyRing, lifetimes: Lifetimes): KeyRing {
  const lives = livesOf(lifetimes);
  const grows = (key: RingKey) => key.phase === 'active' && key.longestLifeMs < lives[key.kind];
  if (!ring.keys.some(grows)) return ring;
  return { ...ring, keys: ring.keys.map((key) => (grows(key) ? { ...key, longestLifeMs: lives[key.kind] } : key)) };
}

/**
 * Publishes a key that will take over when every sidecar that still judges anything has heard of it: what it judges by
 * is no older than the tolerance.
 */
export function publish(
  ring: KeyRing,
  { kind, material, now, lifetimes }: { kind: KeyKind; material: KeyMaterial; now: number; lifetimes: Lifetimes },
): KeyRing {
  // States signed under a longer tolerance of before may still be judged by.
  const tolerance = Math.max(lifetimes.outageToleranceMs, activeKey(ring, 'state').longestLifeMs);
  const key: RingKey = {
    ...material,
    kind,
    phase: 'published',
    createdAt: now,
    since: now,
    endsAt: now + withMargin(tolerance),
    longestLifeMs: livesOf(lifetimes)[kind],
  };
  return changed(ring, [...ring.keys, key]);
}

/** Puts one new active key in the place of every key of its kind, at once: nothing that those signed is believed. */
export function replaceAll(
  ring: KeyRing,
  { kind, material, now, lifetimes }: { kind: KeyKind; material: KeyMaterial; now: number; lifetimes: Lifetimes },
): KeyRing {
  const key: RingKey = {
    ...material,
    kind,
    phase: 'active',
    createdAt: now,
    since: now,
    longestLifeMs: livesOf(lifetimes)[kind],
  };
  return changed(ring, [...ring.keys.filter((other) => other.kind !== kind), key]);
}

/**
 * Takes every key whose phase has ended into the next, one phase however long ago that was: the time of what follows
 * counts from now, so that after a long pause nothing is dropped of which anything may live.
 */
export function advance(ring: KeyRing, { now, lifetimes }: { now: number; lifetimes: Lifetimes }): KeyRing {
  const due = (key: RingKey, phase: KeyPhase) => key.phase === phase && key.endsAt !== undefined && now >= key.endsAt;
  if (!ring.keys.some((key) => key.endsAt !== undefined && now >= key.endsAt)) return ring;
  const lives = livesOf(lifetimes);
  const takenOver = new Set(ring.keys.filter((key) => due(key, 'published')).map(({ kind }) => kind));
  const keys = ring.keys
    .filter((key) => !due(key, 'retiring'))
    .map((key): RingKey => {
      const { endsAt: _ended, ...rest } = key;
      if (due(key, 'published')) return { ...rest, phase: 'active', since: now, longestLifeMs: lives[key.kind] };
      if (key.phase !== 'active' || !takenOver.has(key.kind)) return key;
      const endsAt = now + withMargin(Math.max(key.longestLifeMs, lives[key.kind]) + LEEWAY_MS[key.kind]);
      return { ...rest, phase: 'retiring', since: now, endsAt };
    });
  return changed(ring, keys);
}

/** When the next rotation of a kind begins by itself; `undefined`: never, or one is under way. */
export function rotationDueAt(ring: KeyRing, kind: KeyKind, { keyRotationMs }: Lifetimes): number | undefined {
  if (isRotating(ring, kind)) return undefined;
  const { since, createdAt, notAfter } = activeKey(ring, kind);
  if (notAfter !== undefined) return createdAt + (notAfter - createdAt) * ROOT_SHARE;
  return keyRotationMs === 0 ? undefined : since + keyRotationMs;
}

/** What came, moved on or went between two rings; what goes comes last. */
export function changesBetween(before: KeyRing, after: KeyRing): readonly KeyChange[] {
  const entered = after.keys.filter((key) =>
    before.keys.every(({ id, phase }) => id !== key.id || phase !== key.phase),
  );
  const gone = before.keys.filter(({ id }) => after.keys.every((key) => key.id !== id));
  return [
    ...entered.map((key): KeyChange => ({ key, phase: key.phase })),
    ...gone.map((key): KeyChange => ({ key, phase: 'gone' })),
  ];
}

/** The longest life of what a key of each kind signs. */
function livesOf({ svidMs, aitMs, outageToleranceMs }: Lifetimes): Readonly<Record<KeyKind, number>> {
  return { root: svidMs, ait: aitMs, state: outageToleranceMs };
}

function changed(ring: KeyRing, keys: readonly RingKey[]): KeyRing {
  return { ...ring, sequence: ring.sequence + 1, keys };
}

function withMargin(ms: number): number {
  return Math.ceil(ms + Math.min(ms * MARGIN.share, MARGIN.atMostMs));
}
