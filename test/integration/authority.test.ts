import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import type { ServiceError } from '@grpc/grpc-js';
import { createCsr } from '../../src/crypto/csr.ts';
import { generateKeyPair, importJwk } from '../../src/crypto/keys.ts';
import { verifyObject } from '../../src/crypto/signed-object.ts';
import { parseTrustBundle } from '../../src/crypto/trust-bundle.ts';
import { createRoot, issueSvid, openIssuer } from '../../src/crypto/x509-issuer.ts';
import { agentId, authorityId } from '../../src/domain/agent-id.ts';
import { parseJoinCredential } from '../../src/domain/join-credential.ts';
import type { StateHead } from '../../src/domain/mesh-state.ts';
import { acceptHead, objectDigest } from '../../src/domain/state-head.ts';
import { parseStateHead, parseStateObject } from '../../src/domain/state-objects.ts';
import { reasonOf } from '../../src/wire/error-status.ts';
import {
  call,
  identityOf,
  joinAs,
  openClients,
  openWatch,
  payloadOf,
  startTestAuthority,
  TRUST_DOMAIN,
  writeFiles,
  type Joined,
  type TestAuthority,
  type TestAuthorityOptions,
} from '../support/authority-harness.ts';
import { agentYaml, baselineYaml, MEASUREMENT, POLICY } from '../support/policy-files.ts';

const planner = agentId(TRUST_DOMAIN, 'planner');

async function setUp(t: TestContext, options: TestAuthorityOptions = {}): Promise<TestAuthority> {
  const mesh = await startTestAuthority({ files: POLICY, ...options });
  t.after(() => mesh.close());
  return mesh;
}

async function joined(t: TestContext, mesh: TestAuthority, name = 'planner'): Promise<Joined> {
  const member = await joinAs(mesh.authority, name);
  t.after(() => member.clients.close());
  return member;
}

const hasReason = (code: string) => (error: unknown) => {
  assert.equal(reasonOf(error as ServiceError), code, (error as Error).message);
  return true;
};

const issueAit = ({ clients }: Pick<Joined, 'clients'>, measurement: object = MEASUREMENT, dataAddress = '') =>
  call<{ ait: string }>((done) =>
    clients.identity.issueAit({ measurement: JSON.stringify(measurement), dataAddress }, done),
  );

/** Follows a Watch as a sidecar does: verified, accepted, objects kept by digest. */
function follow(member: Joined, recipient = planner) {
  const watch = openWatch(member.clients);
  const { stateKeys } = parseTrustBundle(member.bundle, TRUST_DOMAIN);
  const held = new Map<string, ReturnType<typeof parseStateObject>>();
  let current: StateHead | undefined;
  const open = (compact: string, type: 'ait-head+jwt' | 'ait-object+jwt') => {
    const keyFor = (keyId: string) => {
      const found = stateKeys.find(({ kid }) => kid === keyId);
      return found && importJwk(found.jwk);
    };
    const check = verifyObject({ compact, type, keyFor });
    assert.ok(check.ok, check.ok ? '' : check.detail);
    return check.payload;
  };
  return {
    error: watch.error,
    async next() {
      const message = await watch.next();
      const head = parseStateHead(open(message.head, 'ait-head+jwt'));
      const decision = acceptHead({ current, next: head, recipient, domain: TRUST_DOMAIN, now: Date.now() });
      assert.ok(decision.accepted, JSON.stringify(decision));
      for (const object of message.objects) {
        const payload = open(object, 'ait-object+jwt');
        held.set(objectDigest(payload), parseStateObject(payload));
      }
      current = head;
      const objects = head.objects.map((digest) => {
        const object = held.get(digest);
        assert.ok(object, `the head lists ${digest}, which was never sent`);
        return object;
      });
      return { head, objects, sent: message.objects.length };
    },
    /** The next state in which something holds. */
    async until(holds: (names: string[]) => boolean) {
      for (;;) {
        const state = await this.next();
        if (holds(namesIn(state.objects))) return state;
      }
    },
  };
}

function namesIn(objects: readonly ReturnType<typeof parseStateObject>[]): string[] {
  return objects
    .map(({ kind, value }) => {
      const state = 'state' in value ? `=${value.state}` : '';
      return `${kind} ${'id' in value ? value.id : 'address' in value ? value.address : ''}${state}`;
    })
    .toSorted();
}

describe('joining', () => {
  test('a member gets an SVID, an instance and the bundle, and may join again after a kill -9', async (t) => {
    const mesh = await setUp(t);
    const credential = await mesh.authority.credentials.create({ agent: planner, uses: 2, lifetimeMs: 60_000 });
    const first = await joinAs(mesh.authority, 'planner', credential);
    const second = await joinAs(mesh.authority, 'planner', credential);
    assert.notEqual(first.instanceId, second.instanceId);
    assert.equal(parseTrustBundle(first.bundle, TRUST_DOMAIN).roots.length, 1);
    await assert.rejects(joinAs(mesh.authority, 'planner', credential), hasReason('JOIN_CREDENTIAL_USED_UP'));
    first.clients.close();
    second.clients.close();
  });

  test('wrong secret, unknown id and expired credential are refused and cost nothing', async (t) => {
    const mesh = await setUp(t);
    const { credentials } = mesh.authority;
    const good = await credentials.create({ agent: planner, uses: 1, lifetimeMs: 60_000 });
    const wrong = Buffer.alloc(32, 1);
    await assert.rejects(
      joinAs(mesh.authority, 'planner', { ...good, secret: wrong }),
      hasReason('JOIN_CREDENTIAL_UNKNOWN'),
    );
    const unknown = { id: 'A'.repeat(22), secret: wrong };
    await assert.rejects(joinAs(mesh.authority, 'planner', unknown), hasReason('JOIN_CREDENTIAL_UNKNOWN'));
    const brief = await credentials.create({ agent: planner, uses: 1, lifetimeMs: 1 });
    await new Promise((resolve) => setTimeout(resolve, 5));
    await assert.rejects(joinAs(mesh.authority, 'planner', brief), hasReason('JOIN_CREDENTIAL_EXPIRED'));
    (await joinAs(mesh.authority, 'planner', good)).clients.close();
  });

  test('two joins at the same time share one use: one gets it', async (t) => {
    const mesh = await setUp(t);
    const one = await mesh.authority.credentials.create({ agent: planner, uses: 1, lifetimeMs: 60_000 });
    const results = await Promise.allSettled([1, 2, 3].map(() => joinAs(mesh.authority, 'planner', one)));
    assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1);
    for (const result of results) if (result.status === 'fulfilled') result.value.clients.close();
  });

  test('an agent that is not registered, or retired, does not join, and a bad request costs no use', async (t) => {
    const mesh = await setUp(t, { files: { ...POLICY, 'agents/old.yaml': agentYaml('old', 'retired') } });
    await assert.rejects(joinAs(mesh.authority, 'nobody'), hasReason('AGENT_NOT_ACTIVE'));
    await assert.rejects(joinAs(mesh.authority, 'old'), hasReason('AGENT_NOT_ACTIVE'));
    const { id, secret } = await mesh.authority.credentials.create({ agent: planner, uses: 1, lifetimeMs: 60_000 });
    const clients = await openClients(mesh.authority);
    const request = { credentialId: id, credentialSecret: secret, csrDer: Buffer.from('garbage') };
    await assert.rejects(
      call((done) => clients.join.join(request, done)),
      hasReason('CSR_INVALID'),
    );
    clients.close();
    (await joinAs(mesh.authority, 'planner', { id, secret })).clients.close();
  });
});

describe('renewing', () => {
  test('the current certificate renews; a lost answer can be asked for again; a second heir is an alarm', async (t) => {
    const mesh = await setUp(t);
    const member = await joined(t, mesh);
    const renew = (clients: Joined['clients'], csrDer: Buffer) =>
      call<{ certificateDer: Buffer }>((done) => clients.identity.renewSvid({ csrDer }, done));
    const keyPair = generateKeyPair();
    const csr = createCsr({ keyPair });
    const next = await renew(member.clients, csr);
    const again = await renew(member.clients, createCsr({ keyPair }));
    assert.deepEqual(again.certificateDer, next.certificateDer);
    const thief = createCsr({ keyPair: generateKeyPair() });
    await assert.rejects(renew(member.clients, thief), hasReason('RENEWAL_FORKED'));
    const alarm = mesh.log.lines.find(({ event }) => event === 'renewal_forked');
    assert.equal(alarm?.['level'], 'error');
    const renewed = await openClients(mesh.authority, identityOf(next.certificateDer, keyPair));
    t.after(() => renewed.close());
    await renew(renewed, createCsr({ keyPair: generateKeyPair() }));
    assert.match(await metrics(mesh), /ait_svid_renewals_total\{result="RENEWAL_FORKED"\} 1/);
  });
});

describe('issuing AITs', () => {
  test('the token is bound to the certificate of the connection and says what was measured', async (t) => {
    const mesh = await setUp(t);
    const member = await joined(t, mesh);
    const { ait } = await issueAit(member);
    const claims = payloadOf<Record<string, never>>(ait) as Record<string, unknown>;
    assert.equal(claims['sub'], planner);
    assert.deepEqual(claims['aud'], [TRUST_DOMAIN]);
    assert.equal((claims['agent'] as { instance: string }).instance, member.instanceId);
    assert.deepEqual((claims['agent'] as { sponsor: object }).sponsor, { format: 'opaque', id: 'u-planner' });
    assert.equal(Number(claims['exp']) - Number(claims['iat']), 5400);
  });

  test('refused: no certificate, another CA, the authority itself, an SVID that no instance holds', async (t) => {
    const mesh = await setUp(t);
    const keyPair = generateKeyPair();
    const now = Date.now();
    const foreign = createRoot({
      trustDomain: TRUST_DOMAIN,
      commonName: 'evil',
      notBefore: now - 1e4,
      notAfter: now + 1e7,
    });
    const mint = (spiffeId: typeof planner) => {
      const pem = issueSvid({
        issuer: openIssuer(foreign),
        publicKey: keyPair.publicKey,
        spiffeId,
        serial: Buffer.alloc(16, 1),
        notBefore: now - 1e4,
        notAfter: now + 1e6,
      });
      return { certPem: pem, keyPem: String(keyPair.privateKey.export({ format: 'pem', type: 'pkcs8' })) };
    };
    const cases = [
      ['CERTIFICATE_MISSING', undefined],
      ['CERTIFICATE_REFUSED', mint(planner)],
      ['CERTIFICATE_REFUSED', mint(authorityId(TRUST_DOMAIN))],
    ] as const;
    for (const [code, identity] of cases) {
      const clients = await openClients(mesh.authority, identity);
      await assert.rejects(issueAit({ clients }), hasReason(code));
      await assert.rejects(openWatch(clients).next(), hasReason(code));
      clients.close();
    }
  });

  test('refused: malformed measurement, bad address, agent without sponsor', async (t) => {
    const unsponsored = 'kind: Agent\nid: loner\nlifecycle: active\n';
    const mesh = await setUp(t, { files: { ...POLICY, 'agents/loner.yaml': unsponsored } });
    const member = await joined(t, mesh);
    await assert.rejects(issueAit(member, { system_prompt: null }), hasReason('MEASUREMENT_MALFORMED'));
    await assert.rejects(issueAit(member, MEASUREMENT, 'nowhere'), hasReason('DATA_ADDRESS_INVALID'));
    const loner = await joined(t, mesh, 'loner');
    await assert.rejects(issueAit(loner), hasReason('AGENT_NOT_ACTIVE'));
  });
});

describe('watching', () => {
  test('the first message is the whole state of this agent and nothing of others', async (t) => {
    const mesh = await setUp(t);
    const member = await joined(t, mesh);
    const { head, objects } = await follow(member).next();
    assert.equal(head.revision, 1);
    assert.deepEqual(namesIn(objects), [
      'agent spiffe://acme.example/agent/planner',
      'agent spiffe://acme.example/agent/researcher',
      'baseline planner-v1=approved',
      'baseline researcher-v1=approved',
      'bundle ',
      'grant planner>researcher',
    ]);
  });

  test('a change of a file arrives as a delta under a newer head; one that concerns others does not arrive', async (t) => {
    const mesh = await setUp(t);
    const state = follow(await joined(t, mesh));
    const first = await state.next();
    await writeFiles(mesh.policyDir, {
      'baselines/stranger-v1.yaml': baselineYaml('stranger-v1', 'stranger', 'revoked'),
    });
    await writeFiles(mesh.policyDir, { 'baselines/planner-v2.yaml': baselineYaml('planner-v2', 'planner') });
    const second = await state.next();
    assert.equal(second.head.revision, first.head.revision + 1);
    assert.deepEqual(second.head.previous, { revision: first.head.revision, content: first.head.content });
    assert.equal(second.sent, 1);
    assert.ok(namesIn(second.objects).includes('baseline planner-v2=approved'));
  });

  test('an address reaches those who may call it, and only them', async (t) => {
    const mesh = await setUp(t);
    const [caller, callee] = [await joined(t, mesh), await joined(t, mesh, 'researcher')];
    const callers = follow(caller);
    const callees = follow(callee, agentId(TRUST_DOMAIN, 'researcher'));
    await callers.next();
    await callees.next();
    await issueAit(caller, MEASUREMENT, '127.0.0.1:1111');
    await issueAit(callee, MEASUREMENT, '127.0.0.1:2222');
    const state = await callers.until((names) => names.includes('endpoint 127.0.0.1:2222'));
    assert.ok(!namesIn(state.objects).includes('endpoint 127.0.0.1:1111'));
  });

  test('revoking the agent ends its streams at once and gives it no more tokens', async (t) => {
    const mesh = await setUp(t);
    const member = await joined(t, mesh);
    const state = follow(member);
    await state.next();
    const revocation = 'kind: Revocation\nid: r1\nagent: planner\nreason: laptop stolen\n';
    await writeFiles(mesh.policyDir, { 'revocations/r1.yaml': revocation });
    hasReason('REVOKED')(await state.error());
    await assert.rejects(issueAit(member), hasReason('REVOKED'));
    await assert.rejects(joinAs(mesh.authority, 'planner'), hasReason('REVOKED'));
  });

  test('a stream ends when the certificate does', async (t) => {
    const mesh = await setUp(t, { config: { svid_lifetime: '2s' } });
    const state = follow(await joined(t, mesh));
    await state.next();
    hasReason('CERTIFICATE_EXPIRED')(await state.error());
  });

  test('a head is signed again in good time', async (t) => {
    const mesh = await setUp(t, { config: { outage_tolerance: '2s' } });
    const state = follow(await joined(t, mesh));
    const first = await state.next();
    const second = await state.next();
    assert.equal(second.head.content, first.head.content);
    assert.equal(second.head.revision, first.head.revision);
    assert.ok(second.head.notAfter > first.head.notAfter);
    assert.equal(second.sent, 0);
  });
});

describe('the policy directory', () => {
  test('a broken file beside good ones is named by place; what it last said stays in force', async (t) => {
    const mesh = await setUp(t);
    const state = follow(await joined(t, mesh));
    await state.next();
    const broken = baselineYaml('planner-v1', 'planner', 'revoked').replace('  tools: not_applicable\n', '');
    await writeFiles(mesh.policyDir, {
      'baselines/planner-v1.yaml': broken,
      'baselines/planner-v2.yaml': baselineYaml('planner-v2', 'planner'),
    });
    const { objects } = await state.until((names) => names.includes('baseline planner-v2=approved'));
    assert.ok(namesIn(objects).includes('baseline planner-v1=approved'));
    const [problem] = mesh.authority.policy.problems();
    assert.equal(problem?.file, 'baselines/planner-v1.yaml');
    assert.equal(problem.field, 'digests.tools');
    assert.ok(problem.line > 1);
    assert.match(await metrics(mesh), /ait_policy_problems\{severity="error"\} 1/);
  });

  test('a baseline whose file vanished or was emptied stays in force, also after a restart', async (t) => {
    const first = await startTestAuthority({ files: POLICY });
    await rm(join(first.policyDir, 'baselines/planner-v1.yaml'));
    await writeFile(join(first.policyDir, 'grants/planner.yaml'), '');
    await first.authority.policy.reload();
    const mesh = await first.restart();
    t.after(() => mesh.close());
    const { objects } = await follow(await joined(t, mesh)).next();
    const names = namesIn(objects);
    assert.ok(
      names.includes('baseline planner-v1=approved') && names.includes('grant planner>researcher'),
      names.join(),
    );
    const warnings = mesh.authority.policy.problems().map(({ severity, message }) => `${severity} ${message}`);
    assert.equal(warnings.filter((text) => /^warning .*stays in force/.test(text)).length, 2, warnings.join('\n'));
  });
});

describe('restarting', () => {
  test('root, revision and members survive; nothing rolls back', async (t) => {
    const first = await startTestAuthority({ files: POLICY });
    const member = await joinAs(first.authority, 'planner');
    const before = await follow(member).next();
    member.clients.close();
    const mesh = await first.restart();
    t.after(() => mesh.close());
    assert.equal(mesh.authority.rootSha256, first.authority.rootSha256);
    const clients = await openClients(mesh.authority, member.identity);
    t.after(() => clients.close());
    const again = await follow({ ...member, clients }).next();
    assert.equal(again.head.revision, before.head.revision);
    assert.equal(again.head.content, before.head.content);
    const decision = acceptHead({
      current: before.head,
      next: again.head,
      recipient: planner,
      domain: TRUST_DOMAIN,
      now: Date.now(),
    });
    assert.ok(decision.accepted, JSON.stringify(decision));
  });

  test('a second process on the same state, a port in use and another trust domain are clear errors', async (t) => {
    const mesh = await setUp(t);
    const { directory } = mesh;
    await assert.rejects(startTestAuthority({ directory }), { code: 'STATE_LOCKED' });
    const unusable = startTestAuthority({
      directory,
      config: { state_dir: join(mesh.policyDir, 'grants/planner.yaml/x') },
    });
    await assert.rejects(unusable, { code: 'FILE_UNREADABLE' });
    const listen = mesh.authority.address;
    const other = startTestAuthority({ directory, config: { listen, state_dir: join(directory, 'other') } });
    await assert.rejects(other, (error: Error) => /gRPC port.*in use/.test(error.message));
    const first = await startTestAuthority({});
    await first.authority.stop({ deadlineMs: 1000 });
    await assert.rejects(
      startTestAuthority({ directory: first.directory, config: { trust_domain: 'other.example' } }),
      {
        code: 'CONFIG_INVALID',
      },
    );
  });
});

describe('reports, admin and probes', () => {
  test('decisions are counted, logged and acknowledged', async (t) => {
    const mesh = await setUp(t);
    const { clients } = await joined(t, mesh);
    const stream = clients.report.report();
    const acknowledged = new Promise((resolve) => stream.once('data', resolve));
    const decision = {
      outcome: 'terminated',
      code: 'SYSTEM_PROMPT_DRIFT',
      peer: planner,
      correlationId: 'c-1',
      atMs: 1,
    };
    stream.write({ sequence: 7, decisions: [decision], dropped: 2 });
    assert.deepEqual({ ...((await acknowledged) as object) }, { acknowledged: 7, question: null });
    stream.on('error', () => undefined);
    assert.match(
      await metrics(mesh),
      /ait_reported_decisions_total\{outcome="terminated",code="SYSTEM_PROMPT_DRIFT"\} 1/,
    );
    assert.equal(mesh.log.lines.find(({ event }) => event === 'reported_decision')?.['correlation_id'], 'c-1');
    const ended = new Promise((resolve) => stream.once('error', resolve));
    stream.write({ sequence: 7 });
    hasReason('REPORT_INVALID')(await ended);
  });

  test('the admin socket makes credentials that work, once and by POST only', async (t) => {
    const mesh = await setUp(t);
    const created = await admin(mesh, 'POST', '/join-credentials', {
      body: { agent: 'planner', uses: 1, expires: '1h' },
    });
    assert.equal(created.status, 201, created.text);
    const credential = parseJoinCredential((JSON.parse(created.text) as { credential: string }).credential);
    assert.equal(credential.authority, mesh.authority.address);
    assert.equal(credential.rootSha256, mesh.authority.rootSha256);
    (await joinAs(mesh.authority, 'planner', credential)).clients.close();
    const listed = await admin(mesh, 'GET', '/join-credentials?uses=5');
    assert.equal(listed.status, 200);
    assert.equal((JSON.parse(listed.text) as object[]).length, 1, 'asking makes none');
    assert.equal((await admin(mesh, 'GET', '/agents/planner')).status, 404);
    assert.equal((await admin(mesh, 'POST', '/status')).status, 405);
    assert.equal((await admin(mesh, 'GET', '/status', { headers: { origin: 'https://evil.example' } })).status, 403);
    assert.equal((await admin(mesh, 'POST', '/join-credentials', { body: { agent: 'a b' } })).status, 400);
    for (const path of ['/status', '/agents', '/instances', '/policy-problems']) {
      const answer = await admin(mesh, 'GET', path);
      assert.equal(answer.status, 200, answer.text);
      assert.ok(!answer.text.includes('PRIVATE'));
    }
    const agents = JSON.parse((await admin(mesh, 'GET', '/agents')).text) as { sponsor_name?: string }[];
    assert.equal(agents[0]?.sponsor_name, 'Ada Lovelace');
  });

  test('credentials can be listed with what is left of them, and nobody can join with what is told', async (t) => {
    const mesh = await setUp(t);
    const make = async (body: object) => {
      const { text } = await admin(mesh, 'POST', '/join-credentials', { body });
      return { ...parseJoinCredential((JSON.parse(text) as { credential: string }).credential), text };
    };
    const spent = await make({ agent: 'planner', uses: 1, expires: '1h' });
    const free = await make({ agent: 'planner', uses: 'unlimited', expires: '2h' });
    const other = await make({ agent: 'researcher', uses: 20, expires: '3h' });
    (await joinAs(mesh.authority, 'planner', spent)).clients.close();
    for (let start = 0; start < 3; start += 1) (await joinAs(mesh.authority, 'planner', free)).clients.close();
    (await joinAs(mesh.authority, 'researcher', other)).clients.close();

    const { text } = await admin(mesh, 'GET', '/join-credentials');
    for (const { secret } of [spent, free, other]) {
      for (const encoding of ['hex', 'base64', 'base64url'] as const) {
        assert.ok(!text.includes(Buffer.from(secret).toString(encoding)));
      }
    }
    assert.ok(!text.includes('sha256'));
    const rows = (JSON.parse(text) as Record<string, unknown>[]).map(({ id, agent, state, uses, uses_left: left }) => {
      return [id, agent, state, uses, left];
    });
    assert.deepEqual(rows, [
      [spent.id, planner, 'used_up', 1, 0],
      [free.id, planner, 'usable', 'unlimited', 'unlimited'],
      [other.id, agentId(TRUST_DOMAIN, 'researcher'), 'usable', 20, 19],
    ]);
    const some = await admin(mesh, 'GET', '/join-credentials?agent=researcher');
    assert.deepEqual(
      (JSON.parse(some.text) as { id: string }[]).map(({ id }) => id),
      [other.id],
    );
    assert.equal((await admin(mesh, 'GET', '/join-credentials?agent=a%20b')).status, 400);
    for (const uses of ['Unlimited', 'infinite', 0, -1, 1.5]) {
      const { status, text: why } = await admin(mesh, 'POST', '/join-credentials', {
        body: { agent: 'planner', uses },
      });
      assert.ok(status === 400 && why.includes('uses'), `${uses}: ${why}`);
    }
  });

  test('a credential that runs out is warned of from the last tenth of its uses on', async (t) => {
    const mesh = await setUp(t);
    const credential = await mesh.authority.credentials.create({ agent: planner, uses: 11, lifetimeMs: 60_000 });
    const warnings = () => mesh.log.lines.filter(({ event }) => event === 'join_credential_running_out');
    for (let start = 0; start < 9; start += 1) (await joinAs(mesh.authority, 'planner', credential)).clients.close();
    assert.equal(warnings().length, 0);
    (await joinAs(mesh.authority, 'planner', credential)).clients.close();
    assert.equal(warnings().length, 1);
    assert.equal(warnings()[0]?.['uses_left'], 1);
    assert.match(String(warnings()[0]?.['action']), /ait agent credential/);
    const once = await mesh.authority.credentials.create({ agent: planner, uses: 1, lifetimeMs: 60_000 });
    (await joinAs(mesh.authority, 'planner', once)).clients.close();
    assert.equal(warnings().length, 1, 'one that is for a single start is meant to end with it');
  });

  test('probes answer', async (t) => {
    const mesh = await setUp(t);
    for (const path of ['/livez', '/readyz']) {
      assert.equal((await fetch(`http://${mesh.authority.metricsAddress}${path}`)).status, 200);
    }
    assert.match(await metrics(mesh), /ait_certificate_expiry_timestamp_seconds\{kind="root",phase="active"\}/);
  });
});

async function metrics({ authority }: TestAuthority): Promise<string> {
  return (await fetch(`http://${authority.metricsAddress}/metrics`)).text();
}

interface AdminExtras {
  readonly body?: object;
  readonly headers?: Record<string, string>;
}

function admin(mesh: TestAuthority, method: string, path: string, { body, headers = {} }: AdminExtras = {}) {
  return new Promise<{ status: number; text: string }>((resolve, reject) => {
    const request = httpRequest({ socketPath: mesh.authority.adminSocket, method, path, headers }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
    });
    request.on('error', reject);
    request.end(body === undefined ? undefined : JSON.stringify(body));
  });
}
