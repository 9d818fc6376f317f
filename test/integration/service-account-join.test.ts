import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import type { ServiceError } from '@grpc/grpc-js';
import type { AuthorityConfigInput } from '../../src/authority/config.ts';
import { createCsr } from '../../src/crypto/csr.ts';
import { generateKeyPair } from '../../src/crypto/keys.ts';
import { agentId } from '../../src/domain/agent-id.ts';
import type { Clock } from '../../src/platform/clock.ts';
import { reasonOf } from '../../src/wire/error-status.ts';
import type { JoinRequest } from '../../src/wire/generated/ait/v1/JoinRequest.ts';
import { httpGet } from '../support/admin-request.ts';
import {
  call,
  openClients,
  startTestAuthority,
  TRUST_DOMAIN,
  type TestAuthority,
} from '../support/authority-harness.ts';
import { AUDIENCE, TestIssuer, type TokenChanges } from '../support/oidc-issuer.ts';
import { agentYaml, POLICY } from '../support/policy-files.ts';

type ClusterInput = NonNullable<AuthorityConfigInput['kubernetes']>[number];

const UNAUTHENTICATED = 16;
const PERMISSION_DENIED = 7;
const INVALID_ARGUMENT = 3;
const UNAVAILABLE = 14;

interface World {
  readonly issuer: TestIssuer;
  readonly mesh: TestAuthority;
  /** Moves the authority's clocks, in ms. */
  readonly time: { wall: number; monotonic: number };
  /** @returns the instance, or throws what the authority answered. */
  join(request: string | JoinRequest): Promise<string>;
  /** @returns code, gRPC status and detail of a refusal. */
  refusal(request: string | JoinRequest): Promise<{ code: string | undefined; grpc: number; detail: string }>;
  restart(): Promise<void>;
}

async function setUp(t: TestContext, cluster: Partial<ClusterInput> = {}, files = POLICY): Promise<World> {
  const issuer = await TestIssuer.start();
  t.after(() => issuer.stop());
  const folder = await mkdtemp(join(tmpdir(), 'ait-issuer-'));
  t.after(() => rm(folder, { recursive: true }));
  const caFile = join(folder, 'ca.pem');
  await writeFile(caFile, issuer.caPem);
  const time = { wall: 0, monotonic: 0 };
  const clock: Clock = { now: () => Date.now() + time.wall, monotonic: () => performance.now() + time.monotonic };
  const accounts = { 'agents/planner': 'planner', 'agents/retired': 'gone', 'agents/revoked': 'stranger' };
  const basis: ClusterInput = { issuer: issuer.url, audience: AUDIENCE, ca_file: caFile, accounts };
  const given = Object.fromEntries(Object.entries({ ...basis, ...cluster }).filter(([, value]) => value !== undefined));
  let mesh = await startTestAuthority({ files, clock, config: { kubernetes: [given as ClusterInput] } });
  t.after(() => mesh.close());
  const send = async (request: string | JoinRequest): Promise<string> => {
    const clients = await openClients(mesh.authority);
    try {
      const csrDer = createCsr({ keyPair: generateKeyPair() });
      const members = typeof request === 'string' ? { serviceAccountToken: request } : request;
      const answer = await call<{ instanceId: string }>((done) => clients.join.join({ csrDer, ...members }, done));
      return answer.instanceId;
    } finally {
      clients.close();
    }
  };
  return {
    issuer,
    get mesh() {
      return mesh;
    },
    time,
    join: send,
    refusal: async (request) => {
      const error = await send(request).then(
        (instance) => assert.fail(`it let ${instance} in`),
        (cause: unknown) => cause as ServiceError,
      );
      return { code: reasonOf(error), grpc: error.code, detail: error.details };
    },
    restart: async () => {
      mesh = await mesh.restart();
    },
  };
}

async function instances({ mesh }: World): Promise<{ id: string; pod?: object; credential_id?: string }[]> {
  return JSON.parse(await httpGet({ socketPath: mesh.authority.adminSocket }, '/instances')) as [];
}

async function joinsBy({ mesh }: World, result: string): Promise<number> {
  const text = await httpGet({ address: mesh.authority.metricsAddress }, '/metrics');
  return Number(new RegExp(`ait_joins_total\\{result="${result}"\\} (\\d+)`).exec(text)?.[1] ?? 0);
}

describe('joining with a ServiceAccount token', () => {
  test('a pod joins, restarts with the same and a refreshed token, and every instance says which pod it is', async (t) => {
    const world = await setUp(t);
    const token = world.issuer.token();
    const ids = [
      await world.join(token),
      await world.join(token),
      await world.join(world.issuer.token({ issuedIn: 0 })),
    ];
    assert.equal(new Set(ids).size, 3);
    const pod = {
      issuer: world.issuer.url,
      namespace: 'agents',
      service_account: 'planner',
      name: 'planner-0',
      uid: '5e0bd49b-f040-43b0-99b7-22765a53f7f3',
    };
    for (const instance of await instances(world)) {
      assert.deepEqual(instance.pod, pod);
      assert.equal(instance.credential_id, undefined);
    }
    const joined = world.mesh.log.lines.find(({ event }) => event === 'joined');
    assert.deepEqual(joined?.['pod'], pod);
    assert.ok(!JSON.stringify(world.mesh.log.lines).includes(token), 'the token is in no log');
    assert.equal(await joinsBy(world, 'ok'), 3);
    await world.restart();
    assert.equal((await instances(world)).length, 3, 'kept');
  });

  test('exactly one of credential and token', async (t) => {
    const world = await setUp(t);
    const agent = agentId(TRUST_DOMAIN, 'planner');
    const { id, secret } = await world.mesh.authority.credentials.create({ agent, uses: 1, lifetimeMs: 60_000 });
    const both = { credentialId: id, credentialSecret: secret, serviceAccountToken: world.issuer.token() };
    for (const request of [both, {}, { ...both, credentialId: '' }]) {
      const { code, grpc } = await world.refusal(request);
      assert.deepEqual([code, grpc], ['REQUEST_INVALID', INVALID_ARGUMENT]);
    }
    await world.join({ credentialId: id, credentialSecret: secret });
    assert.equal(await joinsBy(world, 'REQUEST_INVALID'), 3);
  });

  test('without the section no token is accepted', async (t) => {
    const issuer = await TestIssuer.start();
    t.after(() => issuer.stop());
    const mesh = await startTestAuthority({ files: POLICY });
    t.after(() => mesh.close());
    const clients = await openClients(mesh.authority);
    t.after(() => clients.close());
    const request = { csrDer: createCsr({ keyPair: generateKeyPair() }), serviceAccountToken: issuer.token() };
    await assert.rejects(
      call((done) => clients.join.join(request, done)),
      (error) => reasonOf(error as ServiceError) === 'ISSUER_UNKNOWN',
    );
    assert.deepEqual(issuer.requests, []);
  });
});

/** Each is refused by its own code, in words that name what is wrong. */
const REFUSED: readonly (readonly [
  what: string,
  token: (issuer: TestIssuer) => string,
  code: string,
  grpc: number,
  detail: RegExp,
])[] = [
  claims(
    'another audience',
    { claims: { aud: ['https://kubernetes.default.svc'] } },
    'TOKEN_AUDIENCE_MISMATCH',
    /for \["https:\/\/kubernetes\.default\.svc"\], not for "ait-mesh\/acme\.example"/,
  ),
  claims(
    'an audience that begins with ours',
    { claims: { aud: `${AUDIENCE}.evil` } },
    'TOKEN_AUDIENCE_MISMATCH',
    /evil/,
  ),
  claims('another issuer', { claims: { iss: 'https://evil.example' } }, 'ISSUER_UNKNOWN', /"https:\/\/evil\.example"/),
  [
    'an issuer with a slash more',
    (issuer) => issuer.token({ claims: { iss: `${issuer.url}/` } }),
    'ISSUER_UNKNOWN',
    UNAUTHENTICATED,
    /accepts no tokens of/,
  ],
  claims('expired beyond the leeway', { issuedIn: -700, expiresIn: -31 }, 'TOKEN_EXPIRED', /ended at \S+Z, it is \S+Z/),
  claims('from the future', { issuedIn: 40 }, 'TOKEN_NOT_YET_VALID', /valid from \S+Z, it is \S+Z/),
  claims(
    'issued in the future, valid already',
    { issuedIn: 40, claims: { nbf: 1 } },
    'TOKEN_NOT_YET_VALID',
    /valid from/,
  ),
  denied(
    'another namespace',
    { kubernetes: { namespace: 'other' }, claims: { sub: 'system:serviceaccount:other:planner' } },
    'SERVICE_ACCOUNT_UNKNOWN',
    /other\/planner stands for no agent/,
  ),
  denied(
    'another account',
    { kubernetes: { serviceaccount: { name: 'default' } }, claims: { sub: 'system:serviceaccount:agents:default' } },
    'SERVICE_ACCOUNT_UNKNOWN',
    /agents\/default/,
  ),
  denied(
    'a name that every object has',
    { kubernetes: { namespace: 'constructor' }, claims: { sub: 'system:serviceaccount:constructor:planner' } },
    'SERVICE_ACCOUNT_UNKNOWN',
    /constructor\/planner/,
  ),
  denied(
    'an account of an agent that is retired',
    { kubernetes: { serviceaccount: { name: 'retired' } }, claims: { sub: 'system:serviceaccount:agents:retired' } },
    'AGENT_NOT_ACTIVE',
    /gone is retired/,
  ),
  denied(
    'an account of an agent that is revoked',
    { kubernetes: { serviceaccount: { name: 'revoked' } }, claims: { sub: 'system:serviceaccount:agents:revoked' } },
    'REVOKED',
    /stranger/,
  ),
  claims('no pod', { kubernetes: { pod: undefined } }, 'TOKEN_NOT_BOUND', /names no pod/),
  malformed('a pod without uid', { kubernetes: { pod: { name: 'planner-0' } } }, /kubernetes\.io\.pod\.uid/),
  malformed(
    'a subject that contradicts kubernetes.io',
    { claims: { sub: 'system:serviceaccount:agents:admin' } },
    /sub: not the account/,
  ),
  malformed('an OIDC token of something else', { claims: { 'kubernetes.io': undefined } }, /kubernetes\.io/),
  malformed('no end', { claims: { exp: undefined } }, /exp/),
  malformed('an end in words', { claims: { exp: '9999999999' } }, /exp/),
  malformed('no audience', { claims: { aud: [] } }, /aud/),
  malformed('an embedded key', { header: { jwk: { kty: 'RSA' } } }, /header/),
  malformed('an extension that must be understood', { header: { crit: ['x'], x: 1 } }, /header/),
  [
    'unsigned',
    (issuer) => issuer.forge({ alg: 'none', kid: issuer.key.kid }, () => ''),
    'TOKEN_ALGORITHM_REFUSED',
    UNAUTHENTICATED,
    /signed by none;/,
  ],
  [
    'signed with the public key as a shared secret',
    (issuer) => issuer.forge({ alg: 'HS256', kid: issuer.key.kid }, (input) => issuer.hmacWithPublicKey(input)),
    'TOKEN_ALGORITHM_REFUSED',
    UNAUTHENTICATED,
    /signed by HS256;/,
  ],
  [
    'signed by another key under a known id',
    (issuer) => issuer.token({ key: issuer.strangersKey() }),
    'TOKEN_SIGNATURE_INVALID',
    UNAUTHENTICATED,
    /signature/,
  ],
  [
    'signed by a key that nobody published',
    (issuer) => issuer.token({ key: issuer.strangersKey('key-of-nobody') }),
    'TOKEN_KEY_UNKNOWN',
    UNAUTHENTICATED,
    /no key of the id/,
  ],
  [
    'signed by a known key under no id',
    (issuer) => issuer.token({ header: { kid: undefined } }),
    'TOKEN_KEY_UNKNOWN',
    UNAUTHENTICATED,
    /no key of the id/,
  ],
  [
    'claims changed after signing',
    (issuer) => swapPayload(issuer.token(), issuer.token({ claims: { exp: 9_999_999_999 } })),
    'TOKEN_SIGNATURE_INVALID',
    UNAUTHENTICATED,
    /signature/,
  ],
  [
    'a key twice in its JSON',
    (issuer) => swapPayload(issuer.token(), twice(issuer.token())),
    'TOKEN_MALFORMED',
    INVALID_ARGUMENT,
    /payload: /,
  ],
  ['two parts', () => 'a.b', 'TOKEN_MALFORMED', INVALID_ARGUMENT, /three parts/],
  ['longer than any token', () => `${'a'.repeat(17_000)}.b.c`, 'TOKEN_MALFORMED', INVALID_ARGUMENT, /longer than/],
];

function claims(what: string, changes: TokenChanges, code: string, detail: RegExp) {
  return [what, (issuer: TestIssuer) => issuer.token(changes), code, UNAUTHENTICATED, detail] as const;
}

function denied(what: string, changes: TokenChanges, code: string, detail: RegExp) {
  return [what, (issuer: TestIssuer) => issuer.token(changes), code, PERMISSION_DENIED, detail] as const;
}

function malformed(what: string, changes: TokenChanges, detail: RegExp) {
  return [what, (issuer: TestIssuer) => issuer.token(changes), 'TOKEN_MALFORMED', INVALID_ARGUMENT, detail] as const;
}

/** The payload of one token between header and signature of another. */
function swapPayload(token: string, donor: string): string {
  const [header = '', , signature = ''] = token.split('.');
  return [header, donor.split('.')[1], signature].join('.');
}

function twice(token: string): string {
  const json = Buffer.from(token.split('.')[1] ?? '', 'base64url').toString();
  return `.${Buffer.from(json.replace('{', '{"aud":"x",')).toString('base64url')}.`;
}

test('what is not the token of one of our pods lets nobody in, each for a reason of its own', async (t) => {
  const world = await setUp(
    t,
    {},
    {
      ...POLICY,
      'agents/gone.yaml': agentYaml('gone', 'retired'),
      'revocations/stranger.yaml': 'kind: Revocation\nid: r-1\nagent: stranger\nreason: a test\n',
    },
  );
  for (const [what, token, code, grpc, detail] of REFUSED) {
    await t.test(what, async () => {
      const outcome = await world.refusal(token(world.issuer));
      assert.deepEqual([outcome.code, outcome.grpc], [code, grpc], outcome.detail);
      assert.match(outcome.detail, detail);
      const line = world.mesh.log.lines.findLast(({ event }) => event === 'join_refused');
      assert.equal(line?.['code'], code);
      assert.ok((await joinsBy(world, code)) >= 1);
    });
  }
  assert.deepEqual(await instances(world), []);
  await world.join(world.issuer.token());
});

test('times within 30 s of each other are forgiven', async (t) => {
  const world = await setUp(t);
  await world.join(world.issuer.token({ issuedIn: -600, expiresIn: -20 }));
  await world.join(world.issuer.token({ issuedIn: 20 }));
});

describe('one pod', () => {
  test('an older token of a pod that has joined with a newer one is a copy, also after a restart', async (t) => {
    const world = await setUp(t);
    const old = world.issuer.token({ issuedIn: -400 });
    await world.join(old);
    await world.join(world.issuer.token());
    for (const again of [() => Promise.resolve(), () => world.restart()]) {
      await again();
      const { code, grpc, detail } = await world.refusal(old);
      assert.deepEqual([code, grpc], ['TOKEN_SUPERSEDED', PERMISSION_DENIED]);
      assert.match(detail, /the token is of \S+Z, the pod joined with one of \S+Z already/);
    }
    const another = { pod: { name: 'planner-1', uid: 'f3a4' } };
    await world.join(world.issuer.token({ issuedIn: -400, kubernetes: another }));
  });

  test('changes neither its name nor its account', async (t) => {
    const world = await setUp(t, { accounts: { 'agents/planner': 'planner', 'agents/other': 'planner' } });
    await world.join(world.issuer.token());
    const uid = '5e0bd49b-f040-43b0-99b7-22765a53f7f3';
    for (const changes of [
      { kubernetes: { pod: { name: 'planner-1', uid } } },
      { kubernetes: { serviceaccount: { name: 'other' } }, claims: { sub: 'system:serviceaccount:agents:other' } },
    ]) {
      assert.equal((await world.refusal(world.issuer.token(changes))).code, 'POD_MISMATCH');
    }
  });

  test('is forgotten when none of its tokens could be shown any more', async (t) => {
    const world = await setUp(t);
    await world.join(world.issuer.token({ expiresIn: 60 }));
    world.time.wall = 180_000;
    await world.join(world.issuer.token({ kubernetes: { pod: { name: 'planner-1', uid: 'f3a4' } } }));
    world.time.wall = 0;
    await world.join(world.issuer.token({ issuedIn: -400 }));
  });
});

describe("the issuer's keys", () => {
  test('a new key is found without waiting, an old one ends with the ten minutes that keys are kept', async (t) => {
    const world = await setUp(t);
    const before = world.issuer.key;
    await world.join(world.issuer.token());
    world.issuer.rotate('ES256');
    await world.join(world.issuer.token({ issuedIn: 0 }));
    world.issuer.requests.length = 0;
    await world.join(world.issuer.token({ issuedIn: 0 }));
    assert.deepEqual(world.issuer.requests, [], 'kept');
    assert.equal((await world.refusal(world.issuer.token({ key: before }))).code, 'TOKEN_KEY_UNKNOWN');
    world.issuer.requests.length = 0;
    world.time.monotonic = 600_001;
    await world.join(world.issuer.token({ issuedIn: 0 }));
    assert.equal(world.issuer.requests.length, 2, 'asked again');
  });

  test('however many ids strangers make up, the issuer is asked a few times, and known keys go on working', async (t) => {
    const world = await setUp(t);
    const startedAt = performance.now();
    await world.join(world.issuer.token());
    for (let index = 0; index < 12; index += 1) {
      const { code } = await world.refusal(world.issuer.token({ key: world.issuer.strangersKey(`made-up-${index}`) }));
      assert.ok(code === 'TOKEN_KEY_UNKNOWN' || code === 'ISSUER_UNREACHABLE', code);
    }
    // Two requests a time; at once five times, besides the first, and then once in two seconds.
    const allowed = 2 * (1 + 5 + Math.ceil((performance.now() - startedAt) / 2000));
    assert.ok(world.issuer.requests.length <= allowed, `${world.issuer.requests.length} requests, not ${allowed}`);
    await world.join(world.issuer.token());
  });

  test('an issuer that is down, or is not itself, is a transient refusal and never a yes', async (t) => {
    const world = await setUp(t);
    const { issuer } = world;
    const wrong: [string, () => void | Promise<void>, RegExp][] = [
      ['nobody there', () => issuer.stop(), /ECONNREFUSED/],
      [
        'HTTP 503',
        () => issuer.listen().then(() => void (issuer.answer = (_, to) => to.writeHead(503).end())),
        /HTTP 503/,
      ],
      [
        'a redirect',
        () => void (issuer.answer = (_, to) => to.writeHead(302, { location: 'https://evil.example' }).end()),
        /HTTP 302/,
      ],
      ['garbage', () => void (issuer.answer = (_, to) => to.end('<html>')), /no discovery document/],
      [
        'the document of another',
        () => void (issuer.answer = (_, to) => to.end('{"issuer":"https://a","jwks_uri":"https://a"}')),
        /issuer: not the one/,
      ],
      [
        'keys over plain HTTP',
        () => void (issuer.answer = (_, to) => to.end(JSON.stringify({ issuer: issuer.url, jwks_uri: 'http://a' }))),
        /jwks_uri/,
      ],
      [
        'no keys at all',
        () =>
          void (issuer.answer = ({ url }, to) =>
            to.end(
              url?.endsWith('jwks') === true
                ? '{"keys":[]}'
                : JSON.stringify({ issuer: issuer.url, jwks_uri: `${issuer.url}/jwks` }),
            )),
        /keys/,
      ],
      ['an answer without end', () => void (issuer.answer = (_, to) => to.write('x'.repeat(600_000))), /more than/],
    ];
    for (const [what, make, detail] of wrong) {
      await t.test(what, async () => {
        await make();
        world.time.monotonic += 10_000;
        const outcome = await world.refusal(issuer.token());
        assert.deepEqual([outcome.code, outcome.grpc], ['ISSUER_UNREACHABLE', UNAVAILABLE]);
        assert.match(outcome.detail, detail);
      });
    }
    issuer.answer = undefined;
    world.time.monotonic += 10_000;
    await world.join(issuer.token());
  });

  test('a server with a certificate of another CA is not the issuer', async (t) => {
    const other = await TestIssuer.start();
    t.after(() => other.stop());
    const world = await setUp(t, { issuer: other.url });
    const { code, detail } = await world.refusal(other.token());
    assert.equal(code, 'ISSUER_UNREACHABLE');
    assert.match(detail, /certificate|signature/);
    assert.deepEqual(other.requests, []);
  });

  test('keys from jwks_uri, and from a file that is read again', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'ait-jwks-'));
    t.after(() => rm(folder, { recursive: true }));
    const file = join(folder, 'jwks.json');
    const offline = await TestIssuer.start();
    t.after(() => offline.stop());
    await writeFile(file, offline.jwks);
    const world = await setUp(t, { issuer: offline.url, jwks_file: file, ca_file: undefined });
    await world.join(offline.token());
    offline.rotate();
    await writeFile(file, offline.jwks);
    await world.join(offline.token());
    assert.deepEqual(offline.requests, []);
    const direct = await TestIssuer.start();
    t.after(() => direct.stop());
    const ca = join(folder, 'ca.pem');
    await writeFile(ca, direct.caPem);
    const uri = { issuer: 'https://cluster.example', jwks_uri: `${direct.url}/openid/v1/jwks`, ca_file: ca };
    const second = await setUp(t, uri);
    await second.join(direct.token({ claims: { iss: 'https://cluster.example' } }));
    assert.deepEqual(direct.requests, ['/openid/v1/jwks']);
  });
});
