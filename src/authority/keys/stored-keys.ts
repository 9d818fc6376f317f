import { parseTrustDomain } from '../../domain/agent-id.ts';
import type { JsonObject, JsonValue } from '../../domain/canonical/strict-json.ts';
import { arrayAt, choiceAt, integerAt, objectAt, ShapeError, stringAt } from '../../domain/json-shape.ts';
import { isMeshError, MeshError } from '../../domain/mesh-error.ts';
import { readX509 } from '../../crypto/certificate-fields.ts';
import { readRoot, readSigningKey } from './key-material.ts';
import { firstRing, KEY_KINDS, KEY_PHASES, type KeyMaterial, type KeyRing, type RingKey } from './key-ring.ts';
import type { Lifetimes } from './lifetimes.ts';

/** Of what is stored; the first format had three keys for ever and no number. */
const FORMAT = 2;
const MAX_KEYS = 64;
const PEM = /^-----BEGIN [A-Z ]{1,32}-----\n[A-Za-z0-9+/=\n]{1,4000}-----END [A-Z ]{1,32}-----\n$/;

/** The form that {@link readStoredKeys} reads. The private keys are in it. */
export function keysToStore({ trustDomain, sequence, keys }: KeyRing): JsonObject {
  return {
    format: FORMAT,
    trust_domain: trustDomain,
    sequence,
    keys: keys.map((key) => ({
      kind: key.kind,
      phase: key.phase,
      created_at: key.createdAt,
      since: key.since,
      ...(key.endsAt !== undefined && { ends_at: key.endsAt }),
      longest_life_ms: key.longestLifeMs,
      key: key.keyPem,
      ...(key.certPem !== undefined && { certificate: key.certPem }),
    })),
  };
}

/**
 * Reads what the store has, also in the format of before there were phases: its three keys are active. Fails closed:
 * exactly one active key of each kind, no other's certificate, nothing unknown.
 *
 * @throws MeshError `STATE_FILE_CORRUPT` naming the member; nothing of a key is in the message.
 */
export function readStoredKeys(value: JsonValue, { now, lifetimes }: { now: number; lifetimes: Lifetimes }): KeyRing {
  try {
    return isFirstFormat(value) ? readFirstFormat(value, { now, lifetimes }) : readRing(value);
  } catch (cause) {
    if (!(cause instanceof ShapeError || isMeshError(cause))) throw cause;
    throw new MeshError('STATE_FILE_CORRUPT', `the authority's keys in its state directory: ${cause.message}`, {
      cause,
      hint: 'restore the state directory from a backup; the keys cannot be made again',
    });
  }
}

function readRing(value: JsonValue): KeyRing {
  const stored = objectAt(value, 'keys', { required: ['format', 'trust_domain', 'sequence', 'keys'] });
  if (stored['format'] !== FORMAT) throw new ShapeError('format', `not ${FORMAT}: another version of ait wrote it`);
  const keys = arrayAt(stored['keys'], 'keys', { min: KEY_KINDS.length, max: MAX_KEYS }).map(readKey);
  for (const kind of KEY_KINDS) {
    for (const phase of KEY_PHASES) {
      const count = keys.filter((key) => key.kind === kind && key.phase === phase).length;
      if (count > 1 || (phase === 'active' && count === 0)) {
        throw new ShapeError('keys', `${count} ${phase} keys of kind ${kind}`);
      }
    }
  }
  if (new Set(keys.map(({ id }) => id)).size !== keys.length)
    throw new ShapeError('keys', 'one key stands there twice');
  return {
    trustDomain: trustDomainAt(stored['trust_domain']),
    sequence: integerAt(stored['sequence'], 'sequence', { min: 1 }),
    keys,
  };
}

function readKey(value: JsonValue, index: number): RingKey {
  const at = `keys[${index}]`;
  const stored = objectAt(value, at, {
    required: ['kind', 'phase', 'created_at', 'since', 'longest_life_ms', 'key'],
    optional: ['ends_at', 'certificate'],
  });
  const kind = choiceAt(stored['kind'], `${at}.kind`, KEY_KINDS);
  const phase = choiceAt(stored['phase'], `${at}.phase`, KEY_PHASES);
  if ((stored['ends_at'] === undefined) !== (phase === 'active')) {
    throw new ShapeError(`${at}.ends_at`, 'published and retiring keys have one, active ones have none');
  }
  if ((stored['certificate'] === undefined) !== (kind !== 'root')) {
    throw new ShapeError(`${at}.certificate`, 'roots have one, other keys have none');
  }
  return {
    ...materialAt(stored, at),
    kind,
    phase,
    createdAt: integerAt(stored['created_at'], `${at}.created_at`),
    since: integerAt(stored['since'], `${at}.since`),
    ...(stored['ends_at'] !== undefined && { endsAt: integerAt(stored['ends_at'], `${at}.ends_at`) }),
    longestLifeMs: integerAt(stored['longest_life_ms'], `${at}.longest_life_ms`, { min: 1 }),
  };
}

function materialAt(stored: JsonObject, at: string): KeyMaterial {
  const keyPem = pemAt(stored['key'], `${at}.key`);
  return stored['certificate'] === undefined
    ? readSigningKey(keyPem)
    : readRoot({ keyPem, certPem: pemAt(stored['certificate'], `${at}.certificate`) });
}

function isFirstFormat(value: JsonValue): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && Object.hasOwn(value, 'root_key');
}

function readFirstFormat(value: JsonObject, at: { now: number; lifetimes: Lifetimes }): KeyRing {
  const members = ['trust_domain', 'root_certificate', 'root_key', 'ait_key', 'state_key'];
  const stored = objectAt(value, 'keys', { required: members });
  const certPem = pemAt(stored['root_certificate'], 'root_certificate');
  const material = {
    root: readRoot({ certPem, keyPem: pemAt(stored['root_key'], 'root_key') }),
    ait: readSigningKey(pemAt(stored['ait_key'], 'ait_key')),
    state: readSigningKey(pemAt(stored['state_key'], 'state_key')),
  };
  const ring = firstRing(trustDomainAt(stored['trust_domain']), material, at);
  // All three are as old as the root; how long they have been signing counts from now.
  const createdAt = Date.parse(readX509(certPem).validFrom);
  return { ...ring, keys: ring.keys.map((key) => ({ ...key, createdAt })) };
}

function pemAt(value: JsonValue | undefined, path: string): string {
  return stringAt(value, path, PEM, 'PEM');
}

function trustDomainAt(value: JsonValue | undefined) {
  return parseTrustDomain(stringAt(value, 'trust_domain', /^.{1,255}$/, 'a name'));
}
