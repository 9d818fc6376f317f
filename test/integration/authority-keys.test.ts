import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { connect } from 'node:tls';
import { askAuthority, AuthorityProblem } from '../../src/cli/operator/authority-client.ts';
import { parseTrustBundle, rootCertificates, type TrustBundle } from '../../src/crypto/trust-bundle.ts';
import { rootPin, serverNameOfPin } from '../../src/crypto/root-pin.ts';
import { rootProbeTlsOptions } from '../../src/crypto/tls-context.ts';
import { agentId } from '../../src/domain/agent-id.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { systemRandom } from '../../src/platform/random.ts';
import { createRegistry } from '../../src/platform/metrics-registry.ts';
import { TrustStore } from '../../src/membership/trust-store.ts';
import { createSidecarMetrics } from '../../src/sidecar/sidecar-metrics.ts';
import { readKeptRoots } from '../../src/sidecar/state/kept-roots.ts';
import { StateReceiver } from '../../src/sidecar/state/state-receiver.ts';
import {
  createLogBook,
  joinAs,
  openClients,
  openWatch,
  startTestAuthority,
  TRUST_DOMAIN,
  type Joined,
  type TestAuthority,
} from '../support/authority-harness.ts';
import { hostOf, portOf } from '../support/admin-request.ts';
import type { ShownKey } from '../support/key-phases.ts';
import { POLICY } from '../support/policy-files.ts';
import { pollUntil } from '../support/poll-until.ts';

const planner = agentId(TRUST_DOMAIN, 'planner');

async function setUp(t: TestContext): Promise<TestAuthority> {
  const mesh = await startTestAuthority({ files: POLICY });
  t.after(() => mesh.close());
  return mesh;
}

async function rotate({ authority }: TestAuthority, kind: string, compromised = false): Promise<readonly ShownKey[]> {
  const body = { kind, compromised };
  const answer = await askAuthority({ admin: authority.adminSocket }, { method: 'POST', path: '/keys/rotate', body });
  return (answer as { keys: readonly ShownKey[] }).keys;
}

/** A sidecar's share of it: what it trusts, and the state it takes. */
async function receiverFor(t: TestContext, bundle: TrustBundle, stateDir?: string) {
  const directory = stateDir ?? (await mkdtemp(join(tmpdir(), 'ait-receiver-')));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const trust = new TrustStore();
  trust.replace([bundle]);
  const { logger, lines } = createLogBook();
  const receiver = new StateReceiver({
    self: planner,
    trustDomain: bundle.trustDomain,
    clock: systemClock,
    random: systemRandom,
    logger,
    metrics: createSidecarMetrics(createRegistry({ defaultMetrics: false })),
    trust,
    stateDir: directory,
    onState: () => undefined,
  });
  return { receiver, trust, lines, logger, directory };
}

async function joined(t: TestContext, mesh: TestAuthority): Promise<Joined & { readonly parsed: TrustBundle }> {
  const member = await joinAs(mesh.authority, 'planner');
  t.after(() => member.clients.close());
  return { ...member, parsed: parseTrustBundle(member.bundle, planner.slice(9, planner.indexOf('/', 9)) as never) };
}

/** The pin of the root that the listener shows to who asks for this name. */
async function shownRoot({ authority }: TestAuthority, servername?: string): Promise<string> {
  const { address } = authority;
  const options = { ...rootProbeTlsOptions({ alpn: ['h2'] }), ...(servername !== undefined && { servername }) };
  const socket = connect({ host: hostOf(address), port: portOf(address), ...options });
  await new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject));
  const { issuerCertificate } = socket.getPeerCertificate(true);
  socket.destroy();
  return rootPin(issuerCertificate.raw);
}

describe('the listener', () => {
  test('shows each client the root that it knows, as long as it is in the ring; everybody else the active one', async (t) => {
    const mesh = await setUp(t);
    const first = mesh.authority.rootSha256;
    const keys = await rotate(mesh, 'root');
    const next = keys.find(({ kind, phase }) => kind === 'root' && phase === 'published')?.id ?? '';
    assert.equal(await shownRoot(mesh), first);
    assert.equal(await shownRoot(mesh, serverNameOfPin(first)), first);
    assert.equal(await shownRoot(mesh, serverNameOfPin(next)), next);
    for (const strange of [
      serverNameOfPin('0'.repeat(64)),
      'root.invalid',
      'acme.example',
      `x.${serverNameOfPin(next)}`,
    ]) {
      assert.equal(await shownRoot(mesh, strange), first, strange);
    }
    const only = (await rotate(mesh, 'root', true)).find(({ kind }) => kind === 'root')?.id ?? '';
    for (const pin of [first, next, only]) assert.equal(await shownRoot(mesh, serverNameOfPin(pin)), only);
    assert.equal(mesh.authority.rootSha256, only);
  });

  test('takes certificates by every root in the ring, and none by one that left it', async (t) => {
    const mesh = await setUp(t);
    const member = await joined(t, mesh);
    const issue = async () => {
      const clients = await openClients(mesh.authority, member.identity);
      try {
        return await new Promise<string>((resolve) => {
          clients.identity.issueAit({ measurement: '{}', dataAddress: '' }, (error) => resolve(error?.details ?? 'ok'));
        });
      } finally {
        clients.close();
      }
    };
    await rotate(mesh, 'root');
    assert.doesNotMatch(await issue(), /no root/);
    await rotate(mesh, 'root', true);
    assert.match(await issue(), /no root of the trust domain acme\.example issued the certificate/);
  });

  test('GET /keys and a second rotation: no secret, and a code', async (t) => {
    const mesh = await setUp(t);
    const answer = await askAuthority({ admin: mesh.authority.adminSocket }, { method: 'GET', path: '/keys' });
    assert.doesNotMatch(JSON.stringify(answer), /PRIVATE|BEGIN/);
    await rotate(mesh, 'ait');
    await assert.rejects(rotate(mesh, 'ait'), (error: unknown) => {
      assert.ok(error instanceof AuthorityProblem);
      assert.deepEqual([error.status, error.problem['code']], [409, 'ROTATION_UNDER_WAY']);
      return true;
    });
    for (const body of [{}, { kind: 'all' }, { kind: 'ait', compromised: 'yes' }, { kind: 'ait', force: true }]) {
      const question = { method: 'POST', path: '/keys/rotate', body } as const;
      await assert.rejects(askAuthority({ admin: mesh.authority.adminSocket }, question), { status: 400 });
    }
  });
});

describe('a sidecar that was out of reach while the state key was replaced', () => {
  test('believes the bundle of its connection to the authority; without one, or with a false one, it refuses', async (t) => {
    const mesh = await setUp(t);
    const member = await joined(t, mesh);
    const before = openWatch(member.clients);
    const old = await before.next();
    before.stream.cancel();
    await rotate(mesh, 'state', true);
    const again = await openClients(mesh.authority, member.identity);
    t.after(() => again.close());
    const message = await openWatch(again).next();
    assert.notEqual(message.trustBundle, '', 'the first message of a stream has it');

    for (const trustBundle of ['', '{}', old.trustBundle]) {
      const { receiver, trust, lines } = await receiverFor(t, member.parsed);
      assert.equal(receiver.receive({ head: message.head, objects: message.objects, trustBundle }), false);
      assert.equal(lines.find(({ event }) => event === 'state_refused')?.['code'], 'STATE_INVALID');
      assert.deepEqual(trust.rootPins(member.parsed.trustDomain).length, 1, 'nothing is half-applied');
    }
    const { receiver, trust } = await receiverFor(t, member.parsed);
    assert.equal(receiver.receive(message), true);
    const { trustDomain } = member.parsed;
    const [newKey] = parseTrustBundle(message.trustBundle, trustDomain).stateKeys;
    assert.ok(trust.stateKey(trustDomain, newKey?.kid ?? '') !== undefined);
    assert.equal(trust.stateKey(trustDomain, member.parsed.stateKeys[0]?.kid ?? ''), undefined, 'the old one is gone');
  });

  test('a state of before on disk does not bring back what the join has just told is gone', async (t) => {
    const mesh = await setUp(t);
    const member = await joined(t, mesh);
    const first = await receiverFor(t, member.parsed);
    assert.equal(first.receiver.receive(await openWatch(member.clients).next()), true);
    await rotate(mesh, 'ait', true);
    const later = await joined(t, mesh);
    await pollUntil(
      () => readKeptRoots(first.directory, member.parsed.trustDomain, first.logger),
      (pins) => pins.length > 0,
    );
    const { receiver, trust } = await receiverFor(t, later.parsed, first.directory);
    await receiver.restore();
    assert.ok(receiver.state !== undefined, 'the state itself is as good as it was');
    assert.equal(trust.trusts.aitKey(member.parsed.trustDomain, member.parsed.aitKeys[0]?.kid ?? ''), false);
    assert.equal(trust.trusts.aitKey(member.parsed.trustDomain, later.parsed.aitKeys[0]?.kid ?? ''), true);
  });
});

test('roots of the kept state are believed only where nobody else can write', async (t) => {
  const mesh = await setUp(t);
  const member = await joined(t, mesh);
  const { receiver, directory, logger, lines } = await receiverFor(t, member.parsed);
  await chmod(directory, 0o700);
  assert.deepEqual(
    await readKeptRoots(directory, member.parsed.trustDomain, logger),
    [],
    'none before the first state',
  );
  receiver.receive(await openWatch(member.clients).next());
  const pins = await pollUntil(
    () => readKeptRoots(directory, member.parsed.trustDomain, logger),
    (kept) => kept.length > 0,
  );
  assert.deepEqual(
    pins,
    rootCertificates(member.parsed).map(({ raw }) => rootPin(raw)),
  );
  assert.deepEqual(await readKeptRoots(directory, 'other.example' as never, logger), [], 'of its own domain only');
  for (const [place, mode] of [
    [directory, 0o770],
    [directory, 0o702],
    [join(directory, 'mesh-state.json'), 0o620],
  ] as const) {
    await chmod(place, mode);
    assert.deepEqual(await readKeptRoots(directory, member.parsed.trustDomain, logger), []);
    await chmod(place, place === directory ? 0o700 : 0o600);
  }
  assert.equal(lines.filter(({ event }) => event === 'kept_roots_not_trusted').length, 3);
  const elsewhere = join(directory, 'none');
  await mkdir(elsewhere, { mode: 0o700 });
  assert.deepEqual(await readKeptRoots(elsewhere, member.parsed.trustDomain, logger), []);
});

test('certificates that may end before the tolerance does are told of at the start, with both numbers', async (t) => {
  const mesh = await startTestAuthority({ files: POLICY, config: { svid_lifetime: '2h', outage_tolerance: '1h' } });
  t.after(() => mesh.close());
  const warning = mesh.log.lines.find(({ event }) => event === 'svids_end_before_tolerance');
  assert.deepEqual([warning?.['svid_lifetime'], warning?.['outage_tolerance']], ['7200s', '3600s']);
});
