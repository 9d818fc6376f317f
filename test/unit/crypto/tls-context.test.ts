import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { connect, createServer } from 'node:tls';
import { findPinnedRoot, rootPin } from '../../../src/crypto/root-pin.ts';
import { checkPeerCertificate } from '../../../src/crypto/svid.ts';
import {
  clientTlsOptions,
  createTlsContext,
  rootProbeTlsOptions,
  rotateServerContext,
  serverTlsOptions,
} from '../../../src/crypto/tls-context.ts';
import type { TlsContext } from '../../../src/crypto/tls-context.ts';
import { isMeshError } from '../../../src/domain/mesh-error.ts';
import { handshake, HOUR, makeRoot, makeSvid, PLANNER, privatePem, SEARCHER } from './fixture.ts';
import type { TestSvid } from './fixture.ts';

// OpenSSL judges by the real clock.
const now = Date.now();
const dates = { notBefore: now - HOUR, notAfter: now + HOUR };
const root = makeRoot('acme.example', { ...dates, notAfter: now + 2 * HOUR });
const foreign = makeRoot('evil.example', { ...dates, notAfter: now + 2 * HOUR });
const planner = makeSvid(root.issuer, { spiffeId: PLANNER, ...dates });
const searcher = makeSvid(root.issuer, { spiffeId: SEARCHER, ...dates });

const contextOf = (svid: TestSvid, caPems = [root.pem]): TlsContext =>
  createTlsContext({ certPem: svid.pem, keyPem: privatePem(svid), caPems });
const anyPeer = (): undefined => undefined;
const alpn = ['h2'];
const server = (svid = searcher) => serverTlsOptions({ context: contextOf(svid), alpn, requestCert: true });
const client = (svid = planner) => clientTlsOptions({ context: contextOf(svid), alpn, checkPeer: anyPeer });

test('two SVIDs of one root meet, over TLS 1.3, and each sees the other', async () => {
  let seenByClient: unknown;
  const checkPeer = (der: Uint8Array): undefined => void (seenByClient = checkPeerCertificate(der));
  const result = await handshake(server(), clientTlsOptions({ context: contextOf(planner), alpn, checkPeer }));
  assert.deepEqual([result.clientError, result.serverError], [undefined, undefined]);
  assert.deepEqual([result.protocol, result.alpn], ['TLSv1.3', 'h2']);
  assert.ok(result.seenByServer?.raw.equals(planner.certificate.raw));
  assert.equal((seenByClient as { identity: { spiffeId: string } }).identity.spiffeId, SEARCHER);
});

test('certificates that OpenSSL must refuse are refused, on both sides', async () => {
  const expired = makeSvid(root.issuer, { notBefore: now - 2 * HOUR, notAfter: now - HOUR });
  const future = makeSvid(root.issuer, { notBefore: now + HOUR, notAfter: now + HOUR + 1000 });
  const stranger = makeSvid(foreign.issuer, { spiffeId: PLANNER, ...dates });
  for (const [svid, reason] of [
    [expired, /expired/],
    [future, /not yet valid/],
    [stranger, /unable to (get local issuer|verify)|self-signed/],
  ] as const) {
    const asServer = await handshake(server(svid), client());
    assert.match(asServer.clientError ?? 'accepted', reason);
    const asClient = await handshake(server(), client(svid));
    assert.equal(asClient.seenByServer, undefined, 'the server accepted the client');
  }
});

test('a client without a certificate, with an older TLS, or with another protocol is turned away', async () => {
  const bare = createTlsContext({ caPems: [root.pem] });
  const nameless = await handshake(server(), clientTlsOptions({ context: bare, alpn, checkPeer: anyPeer }));
  assert.equal(nameless.seenByServer, undefined);
  assert.match(nameless.serverError ?? '', /certificate/);
  const { ca, cert, key } = contextOf(planner).material;
  const old = await handshake(server(), { ca, cert, key, maxVersion: 'TLSv1.2', ALPNProtocols: alpn } as never);
  assert.match(old.serverError ?? 'accepted', /protocol/);
  const other = await handshake(
    server(),
    clientTlsOptions({ context: contextOf(planner), alpn: ['http/1.1'], checkPeer: anyPeer }),
  );
  assert.match(other.serverError ?? 'accepted', /application protocol|alert|ALPN/i);
});

test('the client refuses a peer by its own rule', async () => {
  const checkPeer = (): Error => new Error('not whom we dialled');
  const result = await handshake(server(), clientTlsOptions({ context: contextOf(planner), alpn, checkPeer }));
  assert.equal(result.clientError, 'not whom we dialled');
});

test('no session is resumed, also after the server got new material, and TLS 1.2 stays out', async () => {
  const running = createServer(serverTlsOptions({ context: contextOf(searcher), alpn, requestCert: true }));
  running.on('secureConnection', (socket) => {
    socket.on('error', () => {});
    socket.write('.');
  });
  running.listen(0, '127.0.0.1');
  await once(running, 'listening');
  const { port } = running.address() as AddressInfo;
  const sessions: Buffer[] = [];
  const dial = async (session?: Buffer): Promise<boolean> => {
    const socket = connect({ ...client(), host: '127.0.0.1', port, ...(session && { session }) });
    socket.on('session', (ticket: Buffer) => sessions.push(ticket));
    await once(socket, 'data');
    const reused = socket.isSessionReused();
    const session2 = socket.getSession();
    if (session2) sessions.push(session2);
    socket.destroy();
    return reused;
  };
  try {
    for (const rotate of [false, true]) {
      if (rotate) rotateServerContext(running, contextOf(searcher));
      assert.equal(await dial(), false);
      for (const session of sessions.splice(0)) assert.equal(await dial(session), false);
    }
    const { ca, cert, key } = contextOf(planner).material;
    const old = connect({
      ca,
      cert,
      key,
      host: '127.0.0.1',
      port,
      maxVersion: 'TLSv1.2',
      checkServerIdentity: anyPeer,
    } as never);
    const [error] = (await once(old, 'error')) as [Error];
    assert.match(error.message, /protocol version|alert/);
  } finally {
    running.close();
  }
});

test('nothing to trust is an error and never the roots of the system', () => {
  for (const caPems of [[], [''], [root.pem, ' ']]) {
    assert.throws(
      () => createTlsContext({ caPems }),
      (error) => isMeshError(error, 'TRUST_ROOTS_EMPTY'),
    );
  }
  const { pem } = planner;
  const invalid = (material: Parameters<typeof createTlsContext>[0]): void =>
    assert.throws(
      () => createTlsContext(material),
      (error) => isMeshError(error, 'CERTIFICATE_INVALID'),
    );
  invalid({ certPem: pem, caPems: [root.pem] });
  invalid({ certPem: pem, keyPem: privatePem(searcher), caPems: [root.pem] });
  invalid({ caPems: ['-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----'] });
});

test('first contact finds the pinned root among what the server sends, and only that', async () => {
  const chain = { ...searcher, pem: searcher.pem + root.pem };
  const probe = await handshake(
    serverTlsOptions({ context: contextOf(chain), alpn, requestCert: false }),
    rootProbeTlsOptions({ alpn }),
  );
  assert.equal(probe.clientError, undefined);
  const found = findPinnedRoot(probe.clientChain, rootPin(root.certificate.raw));
  assert.ok(found && root.certificate.raw.equals(found));
  assert.equal(findPinnedRoot(probe.clientChain, rootPin(foreign.certificate.raw)), undefined);
  for (const pin of ['', 'x', rootPin(root.certificate.raw).toUpperCase()]) {
    assert.equal(findPinnedRoot(probe.clientChain, pin), undefined);
  }
});
