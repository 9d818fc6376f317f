import '../unit/crypto/reflect-polyfill.ts';
import { createHmac, generateKeyPairSync, sign, webcrypto, type KeyObject } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { BasicConstraintsExtension, SubjectAlternativeNameExtension, X509CertificateGenerator } from '@peculiar/x509';

const HOUR_MS = 3_600_000;
const EC = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

type Algorithm = 'RS256' | 'ES256';

interface SigningKey {
  readonly kid: string;
  readonly alg: Algorithm;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

export interface TokenChanges {
  /** Claims over the genuine ones; `undefined` takes one away. */
  readonly claims?: Readonly<Record<string, unknown>>;
  /** Members of `kubernetes.io` over the genuine ones. */
  readonly kubernetes?: Readonly<Record<string, unknown>>;
  readonly header?: Readonly<Record<string, unknown>>;
  /** Seconds from now. Default -1 and 600. */
  readonly issuedIn?: number;
  readonly expiresIn?: number;
  /** Default: the newest of the issuer. */
  readonly key?: SigningKey;
}

export const AUDIENCE = 'ait-mesh/acme.example';

/**
 * The issuer of a Kubernetes cluster as an API server is one: discovery document and key set over HTTPS, with a
 * certificate of the cluster's own CA, and the tokens that the kubelet projects into pods.
 */
export class TestIssuer {
  readonly caPem: string;
  readonly #tls: { readonly cert: string; readonly key: string };
  readonly #sockets = new Set<Duplex>();
  #server: Server | undefined;
  #port = 0;
  /** Published, the newest last. */
  keys: SigningKey[];
  /** Paths that were asked for. */
  readonly requests: string[] = [];
  /** In place of the genuine answers. */
  answer: ((request: IncomingMessage, response: ServerResponse) => void) | undefined;

  private constructor(caPem: string, tls: { readonly cert: string; readonly key: string }) {
    this.caPem = caPem;
    this.#tls = tls;
    this.keys = [makeKey('RS256')];
  }

  static async start(): Promise<TestIssuer> {
    const { caPem, cert, key } = await makeCertificates();
    const issuer = new TestIssuer(caPem, { cert, key });
    await issuer.listen();
    return issuer;
  }

  /** `iss` of its tokens. */
  get url(): string {
    return `https://127.0.0.1:${this.#port}`;
  }

  get key(): SigningKey {
    return this.keys.at(-1)!;
  }

  /** Signs with a new key from now on; the old one is published no more unless it is kept. */
  rotate(alg: Algorithm = 'RS256', { keep = false } = {}): void {
    this.keys = [...(keep ? this.keys : []), makeKey(alg)];
  }

  /** At the same port as before, if it was there before. */
  async listen(): Promise<void> {
    const server = createServer(this.#tls, (request, response) => {
      this.requests.push(request.url ?? '');
      (this.answer ?? ((_, to) => this.#serve(request, to)))(request, response);
    });
    server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
    await new Promise<void>((resolve) => server.listen(this.#port, '127.0.0.1', resolve));
    this.#server = server;
    this.#port = (server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    for (const socket of this.#sockets) socket.destroy();
    if (server !== undefined) await new Promise((resolve) => server.close(resolve));
  }

  /** A token of the pod `planner-0` of the account `agents/planner`, but for what is asked for. */
  token(changes: TokenChanges = {}): string {
    const { key = this.key, header = {}, issuedIn = -1, expiresIn = 600 } = changes;
    const input = signingInput({ alg: key.alg, kid: key.kid, ...header }, this.#claims(changes, issuedIn, expiresIn));
    return `${input}.${signWith(key, input)}`;
  }

  /** The claims of a genuine token under any header, with any third part. */
  forge(header: object, thirdPart: (input: string) => string, changes: TokenChanges = {}): string {
    const input = signingInput(header, this.#claims(changes, -1, 600));
    return `${input}.${thirdPart(input)}`;
  }

  /** The third part by which the public key of the issuer was taken for a shared secret. */
  hmacWithPublicKey(input: string): string {
    const secret = this.key.publicKey.export({ format: 'pem', type: 'spki' });
    return createHmac('sha256', secret).update(input).digest('base64url');
  }

  /** Of the issuer, but published by nobody. */
  strangersKey(kid = this.key.kid): SigningKey {
    return { ...makeKey('RS256'), kid };
  }

  get jwks(): string {
    return JSON.stringify({ keys: this.keys.map(publish) });
  }

  #claims({ claims = {}, kubernetes = {} }: TokenChanges, issuedIn: number, expiresIn: number): object {
    const now = Math.floor(Date.now() / 1000);
    return {
      aud: [AUDIENCE],
      exp: now + expiresIn,
      iat: now + issuedIn,
      nbf: now + issuedIn,
      iss: this.url,
      jti: 'ea28ed49-2e11-4280-9ec5-bc3d1d84661a',
      sub: 'system:serviceaccount:agents:planner',
      'kubernetes.io': {
        namespace: 'agents',
        node: { name: 'node-1', uid: '646e7c5e-32d6-4d42-9dbd-e504e6cbe6b1' },
        pod: { name: 'planner-0', uid: '5e0bd49b-f040-43b0-99b7-22765a53f7f3' },
        serviceaccount: { name: 'planner', uid: '14ee3fa4-a7e2-420f-9f9a-dbc4507c3798' },
        warnafter: now + expiresIn,
        ...kubernetes,
      },
      ...claims,
    };
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const documents: Record<string, string> = {
      '/.well-known/openid-configuration': JSON.stringify({
        issuer: this.url,
        jwks_uri: `${this.url}/openid/v1/jwks`,
        response_types_supported: ['id_token'],
        subject_types_supported: ['public'],
        id_token_signing_alg_values_supported: ['RS256'],
      }),
      '/openid/v1/jwks': this.jwks,
    };
    const document = documents[request.url ?? ''];
    response.writeHead(document === undefined ? 404 : 200, { 'content-type': 'application/json' }).end(document);
  }
}

let keys = 0;

function makeKey(alg: Algorithm): SigningKey {
  keys += 1;
  const pair =
    alg === 'RS256'
      ? generateKeyPairSync('rsa', { modulusLength: 2048 })
      : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { kid: `key-${keys}`, alg, ...pair };
}

function publish({ kid, alg, publicKey }: SigningKey): object {
  return { use: 'sig', kid, alg, ...publicKey.export({ format: 'jwk' }) };
}

function signingInput(header: object, claims: object): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part(header)}.${part(claims)}`;
}

function signWith({ alg, privateKey }: SigningKey, input: string): string {
  const key = alg === 'ES256' ? { key: privateKey, dsaEncoding: 'ieee-p1363' as const } : privateKey;
  return sign('sha256', Buffer.from(input), key).toString('base64url');
}

async function makeCertificates(): Promise<{ caPem: string; cert: string; key: string }> {
  const dates = { notBefore: new Date(Date.now() - HOUR_MS), notAfter: new Date(Date.now() + 24 * HOUR_MS) };
  const crypto = webcrypto;
  const caKeys = await crypto.subtle.generateKey(EC, true, ['sign', 'verify']);
  const ca = await X509CertificateGenerator.createSelfSigned(
    {
      name: 'CN=cluster CA',
      keys: caKeys,
      signingAlgorithm: EC,
      extensions: [new BasicConstraintsExtension(true, 0, true)],
      ...dates,
    },
    crypto,
  );
  const keys = await crypto.subtle.generateKey(EC, true, ['sign', 'verify']);
  const leaf = await X509CertificateGenerator.create(
    {
      subject: 'CN=api server',
      issuer: ca.subject,
      publicKey: keys.publicKey,
      signingKey: caKeys.privateKey,
      signingAlgorithm: EC,
      extensions: [new SubjectAlternativeNameExtension([{ type: 'ip', value: '127.0.0.1' }])],
      ...dates,
    },
    crypto,
  );
  const der = Buffer.from(await crypto.subtle.exportKey('pkcs8', keys.privateKey));
  const key = `-----BEGIN PRIVATE KEY-----\n${
    der
      .toString('base64')
      .match(/.{1,64}/g)
      ?.join('\n') ?? ''
  }\n-----END PRIVATE KEY-----\n`;
  return { caPem: ca.toString('pem'), cert: leaf.toString('pem'), key };
}
