import { createServer, type Server } from 'node:https';
import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { signEvidence, tlsKeyDigest } from '../../src/crypto/evidence.ts';
import { privateKeyToPem } from '../../src/crypto/keys.ts';
import {
  createSimulatedHardwareKey,
  createSimulatedRoot,
  readSimulatedRoot,
  type SimulatedRoot,
} from '../../src/crypto/simulated-hardware.ts';
import type { Digest } from '../../src/domain/canonical/digest.ts';
import type { EvidenceClaims } from '../../src/domain/inference/evidence.ts';
import { Forger, type Identity } from './forgery.ts';
import type { TestMesh } from './mesh.ts';
import { answerChat, type Answering, type ModelQuestion } from './model-server.ts';
import { TRUST_DOMAIN } from './test-authority.ts';

const HOUR_MS = 3_600_000;
export const APPROVED_MEASUREMENT: Digest = `sha256:${'a'.repeat(64)}`;

/** What the service has to go by when it is asked for evidence. */
export interface EvidenceFacts {
  readonly nonce: string;
  readonly claims: EvidenceClaims;
  /** Evidence as a good service gives it, for other claims if there are any. */
  readonly sign: (changes?: Partial<EvidenceClaims>, root?: SimulatedRoot) => string;
}

/**
 * An inference service in the test's process, which can be as hostile as a test wants: it shows a certificate that the
 * mesh's own authority could have issued, and signs evidence with a hardware root of its own. It remembers every request.
 */
export class ModelService {
  readonly questions: ModelQuestion[] = [];
  readonly root: SimulatedRoot;
  /** What it answers when it is asked to prove itself; the whole body. Default: good evidence. */
  evidence: (facts: EvidenceFacts) => object | Promise<object> = ({ sign }) => ({ evidence: sign() });
  answer: Answering = answerChat;
  readonly #identity: Identity;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  constructor(forger: Forger, identity: Identity) {
    this.#identity = identity;
    this.root = newRoot();
    this.#server = createServer(
      {
        key: privateKeyToPem(identity.keyPair.privateKey),
        cert: identity.certPem,
        ca: forger.rootPem,
        requestCert: true,
        minVersion: 'TLSv1.3',
        ALPNProtocols: ['http/1.1'],
      },
      (request, response) => void this.#serve(request, response),
    );
    this.#server.on('secureConnection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on('error', () => undefined);
      socket.once('close', () => this.#sockets.delete(socket));
    });
  }

  /** @param name as in its SPIFFE ID. */
  static async start(t: TestContext, mesh: TestMesh, name = 'default'): Promise<ModelService> {
    const forger = Forger.of(await mesh.authority.keys());
    const spiffeId = `spiffe://${TRUST_DOMAIN}/inference/${name}`;
    const service = new ModelService(forger, forger.identity({ spiffeId, measurement: NOTHING }));
    await new Promise<void>((resolve) => service.#server.listen(0, '127.0.0.1', resolve));
    t.after(() => service.stop());
    return service;
  }

  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** `x5t#S256` of the certificate that it shows. */
  get thumbprint(): string {
    return this.#identity.thumbprint;
  }

  /** Whatever came that was not about evidence: prompts, if any did. */
  get prompts(): readonly ModelQuestion[] {
    return this.questions.filter(({ path }) => !path.startsWith('/v1/attestation?'));
  }

  get openConnections(): number {
    return this.#sockets.size;
  }

  /** The policy that approves it for an agent. */
  policy(agents: readonly string[], changes: object = {}): object {
    return {
      kind: 'InferenceService',
      id: 'default',
      agents: [...agents],
      measurements: [APPROVED_MEASUREMENT],
      evidence_roots: [this.root.pin],
      accept_simulated_evidence: true,
      ...changes,
    };
  }

  stop(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const { method = '', url: path = '', headers } = request;
    const question = { method, path, headers, body: Buffer.concat(chunks).toString() };
    this.questions.push(question);
    const nonce = new URL(path, 'https://localhost').searchParams.get('nonce');
    if (nonce === null) this.answer(question, response);
    else {
      const body = JSON.stringify(await this.evidence(this.#facts(nonce)));
      response.writeHead(200, { 'content-type': 'application/json' }).end(body);
    }
  }

  #facts(nonce: string): EvidenceFacts {
    const claims: EvidenceClaims = {
      format: 'ait-sim-1',
      simulated: true,
      measurement: APPROVED_MEASUREMENT,
      nonce,
      tls_key: tlsKeyDigest(this.#identity.keyPair.publicKey),
      models: ['large'],
      iat: Math.floor(Date.now() / 1000),
    };
    const sign = (changes: Partial<EvidenceClaims> = {}, root = this.root) => {
      const now = Date.now();
      const validity = { notBefore: now - HOUR_MS, notAfter: now + HOUR_MS, serial: randomBytes(16) };
      const { privateKey, chain } = createSimulatedHardwareKey(root, validity);
      return signEvidence({ claims: { ...claims, ...changes }, key: privateKey, chain });
    };
    return { nonce, claims, sign };
  }
}

export function newRoot(): SimulatedRoot {
  const now = Date.now();
  return readSimulatedRoot(createSimulatedRoot({ notBefore: now - HOUR_MS, notAfter: now + HOUR_MS }));
}

/** Its certificate speaks for no agent: what an agent is made of has no part in it. */
const NOTHING = { system_prompt: null, knowledge_base: null, model: null, tools: null } as const;
