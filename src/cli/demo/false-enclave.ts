import { createServer, type Server, type TLSSocket } from 'node:tls';
import { tlsKeyDigest } from '../../crypto/evidence.ts';
import { readX509 } from '../../crypto/certificate-fields.ts';
import { readSvid } from '../../crypto/svid.ts';
import { createTlsContext, serverTlsOptions } from '../../crypto/tls-context.ts';
import { digestJson } from '../../domain/canonical/digest.ts';
import { Attester } from '../../inference/evidence/attester.ts';
import { openEvidenceRoot } from '../../inference/evidence/evidence-root.ts';
import { enrollWithCredential, readCredentialFile } from '../../membership/enrollment.ts';
import { joinMesh, tlsMaterialOf } from '../../membership/join.ts';
import { HTTP_ALPN } from '../../membership/peer-inspection.ts';
import { systemClock } from '../../platform/clock.ts';
import { systemRandom } from '../../platform/random.ts';

export interface FalseEnclaveOptions {
  /** `host:port`: where the real service was. */
  readonly address: string;
  /** File with a join credential of the service. */
  readonly credential: string;
  /** The service's state, with the root of its hardware. */
  readonly stateDir: string;
}

const TIMEOUT_MS = 3_000;
const ATTESTATION = /^GET \/v1\/attestation\?nonce=(\S+) /;

/**
 * What whoever runs the machine can put in the place of the inference service: a real member of the mesh under its name,
 * on its hardware, with evidence that is right in everything. Only the program is another one: it keeps all it is sent.
 */
export class FalseEnclave {
  readonly #server: Server;
  readonly #sockets = new Set<TLSSocket>();
  readonly #chunks: Buffer[] = [];
  /** Request lines. */
  readonly requests: string[] = [];

  private constructor(server: Server) {
    this.#server = server;
  }

  /** @throws AuthorityError; MeshError for credential and state; the system's error where the address is taken */
  static async start({ address, credential, stateDir }: FalseEnclaveOptions): Promise<FalseEnclave> {
    const enrollment = enrollWithCredential(readCredentialFile(credential, 'inference'));
    const membership = await joinMesh({
      enrollment,
      address: enrollment.authority,
      clock: systemClock,
      handshakeTimeoutMs: TIMEOUT_MS,
    });
    const attester = new Attester({
      root: await openEvidenceRoot(stateDir, { clock: systemClock, random: systemRandom }),
      measurement: digestJson({ code: 'a program that keeps every prompt' }),
      models: ['planner-large', 'researcher-small'],
      clock: systemClock,
      random: systemRandom,
      onKey: () => undefined,
    });
    const tlsKey = tlsKeyDigest(readSvid(readX509(membership.certificateDer)).publicKey);
    const context = createTlsContext({ ...tlsMaterialOf(membership), caPems: membership.bundle.roots });
    const server = createServer(serverTlsOptions({ context, alpn: [HTTP_ALPN], requestCert: true }));
    const enclave = new FalseEnclave(server);
    server.on('secureConnection', (socket) => enclave.#listen(socket, (nonce) => attester.attest({ nonce, tlsKey })));
    const [host, port] = address.split(':');
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host, port: Number(port) }, resolve);
    });
    return enclave;
  }

  /** Everything that was sent here, as text. */
  get received(): string {
    return Buffer.concat(this.#chunks).toString('latin1');
  }

  close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    return new Promise((resolve) => {
      if (this.#server.listening) this.#server.close(() => resolve());
      else resolve();
    });
  }

  #listen(socket: TLSSocket, attest: (nonce: string) => string): void {
    this.#sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.once('close', () => this.#sockets.delete(socket));
    let head = '';
    socket.on('data', (chunk: Buffer) => {
      this.#chunks.push(chunk);
      head += chunk.toString('latin1');
      if (!head.includes('\r\n\r\n')) return;
      const [line = ''] = head.split('\r\n', 1);
      head = '';
      this.requests.push(line);
      const nonce = ATTESTATION.exec(line)?.[1];
      const body = nonce === undefined ? '{}' : JSON.stringify({ evidence: attest(nonce) });
      socket.write(
        `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
      );
    });
  }
}
