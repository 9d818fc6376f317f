import type { RootPin } from '../crypto/root-pin.ts';
import { isJoinRefusalCode, JOIN_REFUSALS } from '../domain/join-refusals.ts';
import { MeshError } from '../domain/mesh-error.ts';
import { after, type Clock } from '../platform/clock.ts';
import type { Logger } from '../platform/logger.ts';
import { Backoff, type RandomSource } from '../platform/random.ts';
import type { Readiness } from '../platform/readiness.ts';
import { AuthorityError } from './authority-channel.ts';
import type { Enrollment } from './enrollment.ts';
import { joinMesh, type Membership } from './join.ts';

export interface PatientJoinOptions {
  readonly enrollment: Enrollment;
  /** The authority's `host:port`. */
  readonly authorityAddress: string;
  /** Roots that may have come since the credential was made. */
  readonly knownRoots: readonly RootPin[];
  readonly handshakeTimeoutMs: number;
  /** Its blocker `join` says what is waited for. */
  readonly readiness: Readiness;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly logger: Logger;
}

const RETRY = { minMs: 200, maxMs: 10_000 } as const;

/**
 * Joins, however long the authority takes to be there.
 *
 * @throws MeshError `JOIN_REFUSED`, `AUTHORITY_ROOT_MISMATCH` for a refusal that is final; the signal's reason
 */
export async function joinPatiently(options: PatientJoinOptions, signal: AbortSignal): Promise<Membership> {
  const { enrollment, authorityAddress: address, knownRoots, handshakeTimeoutMs } = options;
  const { readiness, clock, random, logger } = options;
  const backoff = new Backoff({ ...RETRY, random });
  for (;;) {
    try {
      const membership = await joinMesh({ enrollment, address, knownRoots, clock, handshakeTimeoutMs });
      readiness.clear('join');
      logger.info('joined', { instance: membership.instanceId, authority: address });
      return membership;
    } catch (error) {
      if (!(error instanceof AuthorityError)) throw error;
      if (!error.transient) throw joinRefused(error);
      const delayMs = backoff.next();
      const reason = error.reason ?? error.refused?.code ?? 'AUTHORITY_UNREACHABLE';
      readiness.block('join', error.message);
      logger.warn('join_failed', { reason, detail: error.message, retryMs: Math.round(delayMs) });
      await pause(delayMs, signal);
    }
  }
}

function joinRefused(error: AuthorityError): MeshError {
  const code = error.reason ?? error.refused?.code;
  if (code === 'AUTHORITY_ROOT_MISMATCH') {
    return new MeshError('AUTHORITY_ROOT_MISMATCH', error.message, {
      cause: error,
      hint: 'correct authority.address; where the authority was set up anew or its root was replaced, make a new join credential with `ait agent credential` (or give it the new root)',
    });
  }
  return new MeshError(
    'JOIN_REFUSED',
    `the authority refused this instance: ${code === undefined ? '' : `${code}: `}${error.message}`,
    {
      cause: error,
      hint: isJoinRefusalCode(code)
        ? JOIN_REFUSALS[code].action
        : 'a new join credential comes from `ait agent credential <agent>` on the authority',
    },
  );
}

/** @throws the signal's reason when it aborts */
function pause(delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      cancel();
      reject(signal.reason as Error);
    };
    const cancel = after({
      delayMs,
      run: () => {
        signal.removeEventListener('abort', stop);
        resolve();
      },
    });
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
}
