import { signEvidence } from '../../crypto/evidence.ts';
import {
  createSimulatedHardwareKey,
  type SimulatedHardwareKey,
  type SimulatedRoot,
} from '../../crypto/simulated-hardware.ts';
import type { Digest } from '../../domain/canonical/digest.ts';
import type { Clock } from '../../platform/clock.ts';
import type { RandomSource } from '../../platform/random.ts';

export interface AttesterOptions {
  readonly root: SimulatedRoot;
  readonly measurement: Digest;
  readonly models: readonly string[];
  readonly clock: Clock;
  readonly random: RandomSource;
  /** A new hardware key is in use; its end, milliseconds since the epoch. */
  readonly onKey: (notAfter: number) => void;
}

const HOUR_MS = 3_600_000;
/** Life of a hardware key's certificate; it is replaced at half of it. */
const KEY_LIFE_MS = 48 * HOUR_MS;

/** Proves what this service is, to whoever asks, in the form `ait-sim-1`. */
export class Attester {
  readonly #options: AttesterOptions;
  #key: SimulatedHardwareKey | undefined;

  constructor(options: AttesterOptions) {
    this.#options = options;
  }

  /**
   * @param question `nonce`: 32 bytes in base64url, as the caller sent it; `tlsKey`: of the certificate on its very
   *   connection
   * @returns a compact JWS
   * @throws MeshError `CERTIFICATE_INVALID` once the root itself has ended
   */
  attest({ nonce, tlsKey }: { readonly nonce: string; readonly tlsKey: Digest }): string {
    const { measurement, models, clock } = this.#options;
    const { privateKey, chain } = this.#hardwareKey();
    const iat = Math.floor(clock.now() / 1000);
    return signEvidence({
      claims: { format: 'ait-sim-1', simulated: true, measurement, nonce, tls_key: tlsKey, models, iat },
      key: privateKey,
      chain,
    });
  }

  #hardwareKey(): SimulatedHardwareKey {
    const { root, clock, random, onKey } = this.#options;
    const now = clock.now();
    if (this.#key === undefined || now > this.#key.notAfter - KEY_LIFE_MS / 2) {
      // Dated back a little, for the sake of verifiers whose clock is behind.
      const dates = { notBefore: now - HOUR_MS, notAfter: now + KEY_LIFE_MS };
      this.#key = createSimulatedHardwareKey(root, { ...dates, serial: random.bytes(16) });
      onKey(this.#key.notAfter);
    }
    return this.#key;
  }
}
