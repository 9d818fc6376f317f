import type { EvidenceClaims, InferenceService } from '../../domain/inference/evidence.ts';
import type { Digest } from '../../domain/canonical/digest.ts';
import { parseStrictJsonBytes } from '../../domain/canonical/strict-json.ts';
import { objectAt, stringAt } from '../../domain/json-shape.ts';
import { rejection, type Rejection } from '../../domain/rejection.ts';
import type { InspectedPeer } from '../../membership/peer-inspection.ts';
import { ByteCollector } from '../../platform/byte-collector.ts';
import { CallRefused } from './call-refused.ts';
import { UpstreamConnection, type UpstreamConnectionOptions } from './upstream-connection.ts';
import type { UpstreamAnswer } from './upstream.ts';

export type EvidenceVerdict =
  { readonly ok: true; readonly claims: EvidenceClaims } | { readonly ok: false; readonly rejection: Rejection };

/** Judges evidence; see `crypto/evidence.ts`. */
export type EvidenceChecker = (
  compact: string,
  expected: {
    readonly nonce: string;
    readonly tlsKey: Digest;
    readonly service: InferenceService;
    readonly now: number;
  },
) => EvidenceVerdict;

export interface AttestedConnectionOptions extends UpstreamConnectionOptions {
  readonly peer: InspectedPeer['identity'];
  /** Thumbprint of the certificate that we showed. */
  readonly shown: string;
  /** SHA-256 of the SPKI of the server's key. */
  readonly tlsKey: Digest;
  readonly check: EvidenceChecker;
}

interface Evidence {
  readonly compact: string;
  readonly nonce: string;
  /** Milliseconds since the epoch: when it came. */
  readonly at: number;
  /** The same, monotonic. */
  readonly heard: number;
}

const MAX_EVIDENCE_BYTES = 64 * 1024;
const COMPACT = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;

/** One connection to the inference service. Nothing but a nonce goes over it before evidence for its very key was accepted. */
export class AttestedConnection extends UpstreamConnection {
  readonly peer: InspectedPeer['identity'];
  readonly shown: string;
  readonly tlsKey: Digest;
  readonly #options: AttestedConnectionOptions;
  #evidence: Evidence | undefined;
  /** The policy by which the evidence was last found good: the very object, which is replaced when it changes. */
  #goodUnder: InferenceService | undefined;

  constructor(options: AttestedConnectionOptions) {
    super(options);
    this.#options = options;
    this.peer = options.peer;
    this.shown = options.shown;
    this.tlsKey = options.tlsKey;
  }

  /** Whether evidence was accepted for it. */
  get attested(): boolean {
    return this.#evidence !== undefined;
  }

  /** How old the accepted evidence is, in ms. */
  get evidenceAgeMs(): number {
    return this.#evidence === undefined ? Infinity : this.#options.clock.monotonic() - this.#evidence.heard;
  }

  /**
   * Has the service prove anew what it runs, over this very connection.
   *
   * @param nonce base64url of 32 random bytes
   * @returns why it did not; an unanswered question is `INFERENCE_UNAVAILABLE` or `INFERENCE_TIMEOUT`
   */
  async attest({ nonce, service, signal }: AttestInput): Promise<Rejection | undefined> {
    const { clock } = this.#options;
    const compact = await this.#fetch(nonce, signal);
    if (typeof compact !== 'string') return compact;
    const [at, heard] = [clock.now(), clock.monotonic()];
    const verdict = this.#options.check(compact, { nonce, tlsKey: this.tlsKey, service, now: at });
    if (!verdict.ok) return verdict.rejection;
    this.#evidence = { compact, nonce, at, heard };
    this.#goodUnder = service;
    return undefined;
  }

  /** What the evidence that was accepted is worth under other policy. Fails closed. */
  judge(service: InferenceService): Rejection | undefined {
    if (this.#evidence === undefined) return rejection('INFERENCE_UNAVAILABLE', 'no evidence has been accepted yet');
    if (this.#goodUnder === service) return undefined;
    const { compact, nonce, at } = this.#evidence;
    const verdict = this.#options.check(compact, { nonce, tlsKey: this.tlsKey, service, now: at });
    if (!verdict.ok) return verdict.rejection;
    this.#goodUnder = service;
    return undefined;
  }

  async #fetch(nonce: string, signal: AbortSignal): Promise<string | Rejection> {
    const request = {
      method: 'GET' as const,
      path: `/v1/attestation?nonce=${nonce}`,
      headers: { accept: 'application/json' },
      signal,
      beforeWrite: () => undefined,
    };
    try {
      const answer = await this.send(request, () => undefined);
      if (answer.status !== 200)
        return rejection('INFERENCE_UNAVAILABLE', `asked for evidence, the service answered ${answer.status}`);
      return readEvidence(await collect(answer, MAX_EVIDENCE_BYTES));
    } catch (error) {
      return error instanceof CallRefused
        ? error.rejection
        : rejection('INFERENCE_UNAVAILABLE', 'the service was not heard to the end');
    }
  }
}

export interface AttestInput {
  readonly nonce: string;
  readonly service: InferenceService;
  readonly signal: AbortSignal;
}

/** The whole body of an answer. @throws CallRefused when there is more than so many bytes */
export async function collect(answer: UpstreamAnswer, maxBytes: number): Promise<Buffer> {
  const body = new ByteCollector();
  await answer.read((chunk) => {
    if (body.length + chunk.length > maxBytes) {
      throw new CallRefused(rejection('INFERENCE_ANSWER_INVALID', `the answer has more than ${maxBytes} bytes`));
    }
    body.push(chunk);
    return undefined;
  });
  return body.take();
}

function readEvidence(bytes: Buffer): string | Rejection {
  try {
    // What stands beside the evidence is unsigned, and for people.
    const rules = { required: ['evidence'], optional: ['format', 'simulated'] };
    const { evidence } = objectAt(parseStrictJsonBytes(bytes), 'answer', rules);
    return stringAt(evidence, 'evidence', COMPACT, 'a compact JWS');
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    return rejection('INFERENCE_ANSWER_INVALID', `what the service gave as evidence is none: ${detail}`);
  }
}
