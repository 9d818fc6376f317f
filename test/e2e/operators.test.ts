import assert from 'node:assert/strict';
import { createPublicKey } from 'node:crypto';
import { connect as tlsConnect, type ConnectionOptions } from 'node:tls';
import { chmod, readFile, stat, writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import { createServer, request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { createRoot } from '../../src/crypto/x509-issuer.ts';
import { privateKeyFromPem, privateKeyToPem } from '../../src/crypto/keys.ts';
import { createTlsContext } from '../../src/crypto/tls-context.ts';
import { parseTrustDomain } from '../../src/domain/agent-id.ts';
import { hostOf, httpGet, portOf } from '../support/admin-request.ts';
import { Attacker } from '../support/attacker.ts';
import { connectionOver } from '../support/connection-over.ts';
import { verdictOn } from '../support/attacks.ts';
import { Forger, type Identity } from '../support/forgery.ts';
import { startMesh } from '../support/mesh.ts';
import { askOperators, createOperator, elsewhere, reportedReady, shownBy, type Shown } from '../support/operators.ts';
import { pollUntil } from '../support/poll-until.ts';
import { runAit } from '../support/run-ait.ts';

const READS = ['/status', '/agents', '/instances', '/sessions', '/decisions', '/operators', '/policy-problems'];

test('operators: who is let in over the network, and to what', async (t) => {
  const mesh = await startMesh(t, { agents: { planner: { calls: ['researcher'] }, researcher: {} } });
  const { authority } = mesh;
  const address = authority.operatorsAddress;
  const admin = await createOperator(authority, 'ada', { role: 'admin' });
  const viewer = await createOperator(authority, 'vera', { role: 'viewer' });
  const attacker = await Attacker.of(t, mesh);
  const { measurement } = mesh.agent('planner');
  const roots = [attacker.forger.rootPem];
  const shownIdentity = (spiffeId: string, forger = attacker.forger): Shown => {
    const { certPem, keyPair } = forger.identity({ spiffeId, measurement });
    return { certPem, keyPem: privateKeyToPem(keyPair.privateKey), roots };
  };
  const credential = { method: 'POST', path: '/join-credentials', body: '{"agent":"planner"}' };
  const metric = async (labels: string) => {
    const ready = await authority.process.waitFor('authority_ready');
    const text = await httpGet({ address: ready['metrics_listen'] as string }, '/metrics');
    const line = text.split('\n').find((each) => each.startsWith(`ait_operator_requests_total{${labels}}`));
    return Number(line?.split(' ')[1] ?? 0);
  };

  await t.test(
    'the file is for its owner alone and has the key that was made here; the authority has it not',
    async () => {
      assert.equal((await stat(admin)).mode & 0o777, 0o600);
      const { key } = JSON.parse(await readFile(admin, 'utf8')) as { key: string };
      assert.match(key, /PRIVATE KEY/);
      const state = await readFile(`${authority.stateDir}/state.json`, 'utf8');
      assert.ok(!state.includes(key.split('\n')[1]!));
    },
  );

  await t.test('the verbs work from another folder with nothing but the file; a viewer reads', async (st) => {
    const ait = await elsewhere(st);
    await reportedReady(authority, 2);
    for (const file of [admin, viewer]) {
      const status = await ait(['status', '--operator', file]);
      assert.equal(status.code, 0, status.output);
      assert.match(status.output, /Mesh +acme\.example/);
      assert.match(status.output, /Instances +2: 2 ready/);
      const agents = await ait(['agents', '--operator', file]);
      assert.match(agents.output, /planner +active +1\/1/);
      for (const path of READS) assert.equal((await askOperators(address, shownBy(file), { path })).status, 200, path);
    }
    const list = await ait(['operator', 'list', '--operator', viewer, '--json']);
    const operators = JSON.parse(list.output.split('\n').at(-1)!) as {
      name: string;
      role: string;
      created_by: string;
    }[];
    assert.deepEqual(
      operators.map(({ name, role, created_by: by }) => [name, role, by]),
      [
        ['ada', 'admin', 'local'],
        ['vera', 'viewer', 'local'],
      ],
    );
  });

  await t.test('an admin changes things, and makes operators who are told to be made by it', async (st) => {
    const ait = await elsewhere(st);
    assert.equal((await askOperators(address, shownBy(admin), credential)).status, 201);
    const made = await ait(['operator', 'create', 'bob', '--role', 'viewer', '--operator', admin, '--json']);
    assert.equal(made.code, 0, made.output);
    const again = await ait(['operator', 'create', 'bob', '--role', 'admin', '--operator', admin, '--out', 'b.json']);
    assert.equal(again.code, 4, again.output);
    assert.match(again.output, /OPERATOR_EXISTS/);
    const listed = await askOperators(address, shownBy(admin), { path: '/operators' });
    assert.match(listed.text, /"name":"bob","role":"viewer","state":"active".*"created_by":"ada"/);
  });

  await t.test('a viewer who posts is refused, with exit code 4 and what to do; nothing is made', async (st) => {
    const answer = await askOperators(address, shownBy(viewer), credential);
    assert.equal(answer.status, 403);
    assert.equal(answer.type, 'application/problem+json');
    assert.equal(answer.code, 'ROLE_TOO_LOW');
    const line = await authority.process.waitFor('operator_request', (each) => each['code'] === 'ROLE_TOO_LOW');
    assert.deepEqual(
      [line['operator'], line['method'], line['path'], line['outcome']],
      ['vera', 'POST', '/join-credentials', 'refused'],
    );
    const ait = await elsewhere(st);
    const create = await ait(['operator', 'create', 'eve', '--role', 'admin', '--operator', viewer]);
    assert.equal(create.code, 4, create.output);
    assert.match(create.output, /try: ask an operator with the role admin/);
    assert.equal((await ait(['drift', 'show', 'planner', '--operator', viewer])).code, 4);
    const listed = await askOperators(address, shownBy(viewer), { path: '/operators' });
    assert.ok(!listed.text.includes('eve'));
  });

  await t.test('every change is one line in the log', async () => {
    const lines = authority.process.lines.filter(
      (line) => line.event === 'operator_request' && line['operator'] === 'ada',
    );
    assert.ok(lines.some((line) => line['path'] === '/join-credentials' && line['outcome'] === 'ok'));
    assert.ok(
      lines.some((line) => line['path'] === '/operators' && line['outcome'] === 'ok' && line['status'] === 201),
    );
    assert.ok(lines.some((line) => line['path'] === '/operators' && line['code'] === 'OPERATOR_EXISTS'));
    assert.ok(!lines.some((line) => line['method'] === 'GET'));
  });

  await t.test('no certificate, another CA, no ALPN: hung up on before any HTTP', async () => {
    const before = await metric('method="none",result="tls"');
    await assert.rejects(askOperators(address, { roots }, { path: '/status' }));
    const dates = { notBefore: Date.now() - 1_000, notAfter: Date.now() + 3_600_000 };
    const trustDomain = parseTrustDomain('acme.example');
    const other = createRoot({ trustDomain, commonName: 'ait-mesh acme.example', ...dates });
    const forger = new Forger({ root_certificate: other.certPem, root_key: other.keyPem });
    const { certPem, keyPair } = forger.identity({
      spiffeId: 'spiffe://acme.example/operator/ada',
      measurement,
      notBefore: dates.notBefore,
      notAfter: dates.notAfter - 1_000,
    });
    const impostor: Shown = { certPem, keyPem: privateKeyToPem(keyPair.privateKey), roots };
    await assert.rejects(askOperators(address, impostor, { path: '/status' }));
    const { certPem: cert, keyPem: key } = shownBy(admin);
    const mute = tlsConnect({
      host: hostOf(address),
      port: portOf(address),
      secureContext: createTlsContext({ certPem: cert!, keyPem: key!, caPems: roots }).secureContext,
      checkServerIdentity: () => undefined,
    });
    await connectionOver(mute);
    assert.equal(
      await pollUntil(
        () => metric('method="none",result="tls"'),
        (now) => now - before >= 3,
      ),
      before + 3,
    );
  });

  await t.test('TLS 1.2 is not spoken', async () => {
    const { certPem: cert, keyPem: key } = shownBy(admin);
    const old = tlsConnect({
      host: hostOf(address),
      port: portOf(address),
      cert: cert!,
      key: key!,
      ca: [...roots],
      maxVersion: 'TLSv1.2',
      ALPNProtocols: ['http/1.1'],
      checkServerIdentity: () => undefined,
    });
    let secured = false;
    old.once('secureConnect', () => (secured = true));
    await connectionOver(old);
    assert.equal(secured, false);
  });

  for (const [what, id, code] of [
    ["an agent's SVID", 'agent/planner', 'NOT_AN_OPERATOR'],
    ["the authority's own certificate", 'authority', 'NOT_AN_OPERATOR'],
    ['an operator whom nobody made, under our own root', 'operator/mallory', 'OPERATOR_UNKNOWN'],
    ['another certificate in the name of an operator who exists', 'operator/ada', 'OPERATOR_UNKNOWN'],
    ['a name below that of an operator', 'operator/ada/x', 'OPERATOR_UNKNOWN'],
  ] as const) {
    await t.test(`${what}: ${code}`, async () => {
      for (const question of [{ path: '/status' }, credential]) {
        const answer = await askOperators(address, shownIdentity(`spiffe://acme.example/${id}`), question);
        assert.equal(answer.status, 403, answer.text);
        assert.equal(answer.code, code);
        assert.ok(!answer.text.includes('root_certificate'));
      }
    });
  }

  await t.test('an operator whose time is over is told so', async (st) => {
    const file = await createOperator(authority, 'brief', { role: 'admin', expires: '1s' });
    const answer = await pollUntil(
      () => askOperators(address, shownBy(file), { path: '/status' }),
      ({ status }) => status !== 200,
    );
    assert.equal(answer.status, 403, answer.text);
    assert.match(answer.text, /valid until|was an operator until/);
    const ait = await elsewhere(st);
    const status = await ait(['status', '--operator', file]);
    assert.equal(status.code, 4, status.output);
    assert.match(status.output, /ait operator create/);
  });

  await t.test(
    'a revoked operator is out at once, also on a connection that is open, and does not come back',
    async () => {
      const file = await createOperator(authority, 'carl', { role: 'admin' });
      const { certPem: cert, keyPem: key } = shownBy(file);
      const socket = tlsConnect({
        host: hostOf(address),
        port: portOf(address),
        ALPNProtocols: ['http/1.1'],
        secureContext: createTlsContext({ certPem: cert!, keyPem: key!, caPems: roots }).secureContext,
        checkServerIdentity: () => undefined,
      });
      socket.write('GET /status HTTP/1.1\r\nhost: localhost\r\n\r\n');
      await new Promise((resolve) => socket.once('data', resolve));
      const revoked = await runAit(['operator', 'revoke', 'carl', '--operator', admin]);
      assert.equal(revoked.code, 0, revoked.output);
      await connectionOver(socket);
      assert.equal((await askOperators(address, shownBy(file), { path: '/status' })).code, 'OPERATOR_REVOKED');
      // The name is free again, and the old certificate does not profit from it.
      await createOperator(authority, 'carl', { role: 'viewer' });
      assert.equal((await askOperators(address, shownBy(file), { path: '/status' })).code, 'OPERATOR_UNKNOWN');
      assert.equal((await runAit(['operator', 'revoke', 'nobody', '--operator', admin])).code, 4);
    },
  );

  await t.test('requests that a web page could make, or that name another host, are refused', async () => {
    const get = (headers: Record<string, string>) =>
      askOperators(address, shownBy(admin), { path: '/status', headers });
    assert.equal((await get({ origin: 'https://evil.example' })).code, 'ORIGIN_REFUSED');
    assert.equal((await get({ origin: 'null' })).code, 'ORIGIN_REFUSED');
    assert.equal((await get({ 'sec-fetch-site': 'cross-site' })).code, 'ORIGIN_REFUSED');
    for (const host of [
      'evil.example',
      'evil.example:17102',
      '127.0.0.1.evil.example',
      'localhost.evil.example',
      '[::1].x',
    ]) {
      const answer = await get({ host });
      assert.equal(answer.status, 421, host);
      assert.equal(answer.code, 'HOST_REFUSED');
    }
    for (const host of ['localhost', 'LOCALHOST:17102', '127.0.0.1', '[::1]:17102'])
      assert.equal((await get({ host })).status, 200);
  });

  await t.test('GET changes nothing, bodies are bounded and strict', async () => {
    const ask = (question: object) =>
      askOperators(address, shownBy(admin), { path: '/operators', method: 'POST', ...question });
    for (const path of ['/policy/undo', '/operators/revoke?name=ada', '/drift/show?agent=planner']) {
      assert.equal((await ask({ method: 'GET', path })).status, 405, path);
    }
    assert.equal((await ask({ method: 'DELETE' })).status, 405);
    assert.equal((await ask({ path: '/nothing' })).code, 'ROUTE_UNKNOWN');
    assert.equal((await ask({ body: 'x'.repeat(17 * 1024) })).code, 'BODY_TOO_LARGE');
    assert.equal((await ask({ headers: { x: 'x'.repeat(9_000) } })).status, 431);
    const csr = 'AAAA';
    for (const body of [
      '{"name"',
      '[]',
      '',
      '{"name":"x","name":"y","role":"admin","csr":"AAAA"}',
      JSON.stringify({ name: 'x', role: 'admin', csr }),
      JSON.stringify({ name: 'x', role: 'root', csr }),
      JSON.stringify({ name: '../x', role: 'admin', csr }),
      JSON.stringify({ name: 'local', role: 'admin', csr }),
      JSON.stringify({ name: 'x', role: 'admin', csr, expires: '1000d' }),
      JSON.stringify({ name: 'x', role: 'admin', csr, more: 1 }),
    ]) {
      assert.equal((await ask({ body })).status, 400, body);
    }
    const listed = await askOperators(address, shownBy(admin), { path: '/operators' });
    assert.ok(!/"name":"(x|y|local)"/.test(listed.text));
  });

  await t.test('a body that never ends is hung up on; others are served meanwhile', async () => {
    const { certPem: cert, keyPem: key } = shownBy(admin);
    const slow = request({
      host: hostOf(address),
      port: portOf(address),
      method: 'POST',
      path: '/operators',
      headers: { 'content-length': 100 },
      ...({
        secureContext: createTlsContext({ certPem: cert!, keyPem: key!, caPems: roots }).secureContext,
        ALPNProtocols: ['http/1.1'],
        checkServerIdentity: () => undefined,
      } satisfies ConnectionOptions),
      agent: false,
    });
    const over = new Promise<number>((resolve) => {
      slow.once('response', ({ statusCode = 0 }) => resolve(statusCode));
      slow.once('error', () => resolve(0));
    });
    slow.write('{');
    assert.equal((await askOperators(address, shownBy(admin), { path: '/status' })).status, 200);
    const deadline = AbortSignal.timeout(30_000);
    const late = new Promise<number>((resolve) => deadline.addEventListener('abort', () => resolve(-1)));
    assert.ok([0, 408].includes(await Promise.race([over, late])));
    slow.destroy();
  });

  await t.test("an operator's certificate opens no other door: gRPC, other sidecars", async () => {
    const { certPem: cert, keyPem: key } = shownBy(admin);
    const socket = await attacker.tls(authority.address, { cert: cert!, key: key! });
    const session = attacker.http2(socket);
    const stream = session.request({
      ':method': 'POST',
      ':path': '/ait.v1.IdentityService/IssueAit',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    stream.end(Buffer.from([0, 0, 0, 0, 0]));
    const status = await new Promise((resolve) => {
      stream.once('response', (headers) => resolve(headers['grpc-status']));
      stream.once('trailers', (headers) => resolve(headers['grpc-status']));
      stream.once('close', () => resolve('closed'));
    });
    assert.ok(['16', 'closed'].includes(String(status)), String(status));
    session.destroy();
    const privateKey = privateKeyFromPem(key!);
    const operator: Identity = {
      ...attacker.forger.identity({ spiffeId: 'spiffe://acme.example/operator/ada', measurement }),
      certPem: cert!,
      keyPair: { privateKey, publicKey: createPublicKey(privateKey) },
    };
    const victim = mesh.agent('researcher');
    const exchange = await attacker.dial(victim.inbound, operator);
    exchange.hello();
    await exchange.expect('hello');
    exchange.prove();
    exchange.accept();
    const verdict = await verdictOn(victim, exchange);
    assert.equal(verdict['code'], 'UNEXPECTED_PEER');
  });

  await t.test('an operator file that others may read is refused', async () => {
    await chmod(viewer, 0o640);
    const outcome = await runAit(['status', '--operator', viewer]);
    assert.equal(outcome.code, 1, outcome.output);
    assert.match(outcome.output, /others than its owner.*\n.*chmod 600/s);
    await chmod(viewer, 0o600);
  });

  await t.test('somebody else at the address of the authority is found out, and sees no request', async () => {
    const file = JSON.parse(await readFile(viewer, 'utf8')) as { authority: string };
    const wrong = await runAit(['status', '--operator', viewer, '--authority', mesh.agent('researcher').inbound]);
    assert.equal(wrong.code, 5, wrong.output);
    const nobody = await runAit(['status', '--operator', viewer, '--authority', '127.0.0.1:1']);
    assert.equal(nobody.code, 5, nobody.output);
    assert.match(nobody.output, /try: start the authority/);
    await writeFile(`${viewer}.bad`, JSON.stringify({ ...file, roots: [] }), { mode: 0o600 });
    assert.equal((await runAit(['status', '--operator', `${viewer}.bad`])).code, 1);
    assert.equal((await runAit(['status', '--operator', viewer, '--admin', 'x.sock'])).code, 2);
  });

  for (const id of ['agent/planner', 'operator/ada', 'verifier']) {
    await t.test(`${id} at the address of the authority, under our own root, is not taken for it`, async () => {
      const { certPem, keyPair } = attacker.forger.identity({ spiffeId: `spiffe://acme.example/${id}`, measurement });
      let requests = 0;
      const options = { cert: certPem + attacker.forger.rootPem, key: privateKeyToPem(keyPair.privateKey) };
      const fake = createServer({ ...options, ALPNProtocols: ['http/1.1'] }, (_, response) => {
        requests += 1;
        response.end('{}');
      });
      await new Promise<void>((resolve) => fake.listen(0, '127.0.0.1', resolve));
      const { port } = fake.address() as AddressInfo;
      const outcome = await runAit(['status', '--operator', admin, '--authority', `127.0.0.1:${port}`]);
      fake.close();
      assert.equal(outcome.code, 5, outcome.output);
      assert.match(outcome.output, /is not the authority of the operator file/);
      assert.equal(requests, 0);
    });
  }

  await t.test('operators outlive a kill -9 of the authority', async () => {
    await authority.process.kill();
    await authority.start();
    assert.equal((await askOperators(address, shownBy(admin), { path: '/status' })).status, 200);
    assert.equal((await askOperators(address, shownBy(viewer), credential)).code, 'ROLE_TOO_LOW');
  });
});
