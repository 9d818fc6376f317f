import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judgeHost, judgeMeshName } from '../../../../src/cli/check/judge-names.ts';
import {
  judgeApp,
  judgeAround,
  judgeHttp2,
  judgeModels,
  judgeSocket,
  judgeTunnel,
} from '../../../../src/cli/check/judge-ways.ts';
import { REJECTIONS } from '../../../../src/domain/rejection.ts';

const PEER = { check: 'peer-way', peer: 'researcher', at: 'unix:/run/r.sock' } as const;

test('a way to a peer: what the sidecar says of it counts, and what it has on record where it said nothing', () => {
  assert.equal(judgeTunnel(PEER, { kind: 'established' }).verdict, 'ok');
  const refused = judgeTunnel(PEER, {
    kind: 'refused',
    status: 503,
    code: 'PEER_ADDRESS_UNKNOWN',
    correlationId: 'abc',
  });
  assert.equal(refused.verdict, 'fail');
  assert.match(refused.detail, /researcher.*PEER_ADDRESS_UNKNOWN.*ait explain --id abc/);
  assert.equal(refused.fix, REJECTIONS.PEER_ADDRESS_UNKNOWN.action);
  const closed = { kind: 'closed', detail: 'socket hang up' } as const;
  const known = judgeTunnel(PEER, closed, { code: 'SYSTEM_PROMPT_DRIFT', correlationId: '' });
  assert.match(known.detail, /SYSTEM_PROMPT_DRIFT$/);
  assert.equal(known.fix, REJECTIONS.SYSTEM_PROMPT_DRIFT.action);
  assert.match(judgeTunnel(PEER, closed).detail, /socket hang up/);
  const foreign = judgeTunnel(PEER, { kind: 'refused', status: 405, code: 'toString', correlationId: '' });
  assert.match(foreign.fix ?? '', /no sidecar of this version/);
});

test('nobody there: what helps depends on why', () => {
  const fixOf = (code: string) => judgeTunnel(PEER, { kind: 'unreachable', code, detail: code }).fix ?? '';
  assert.match(fixOf('EACCES'), /socket_mode/);
  assert.match(fixOf('ENOENT'), /no such socket/);
  assert.match(fixOf('ECONNREFUSED'), /nobody listens/);
  assert.match(fixOf('ETIMEDOUT'), /running/);
  assert.equal(judgeHttp2('127.0.0.1:1', { code: 'ECONNREFUSED', detail: 'x' }).verdict, 'fail');
  assert.equal(judgeHttp2('127.0.0.1:1', undefined).verdict, 'ok');
  assert.equal(judgeApp('127.0.0.1:1', { code: 'ECONNREFUSED', detail: 'x' }).verdict, 'fail');
  assert.equal(judgeApp('127.0.0.1:1', undefined).verdict, 'ok');
});

test('models: none that is approved is worth a look, a refusal is what the sidecar says it is', () => {
  assert.equal(judgeModels('p', { ok: true, models: ['m'] }).verdict, 'ok');
  assert.equal(judgeModels('p', { ok: true, models: [] }).verdict, 'warn');
  const refused = judgeModels('p', { ok: false, failure: { code: 'TOOLS_DRIFT', detail: 'status 403' } });
  assert.equal(refused.fix, REJECTIONS.TOOLS_DRIFT.action);
  const other = judgeModels('p', { ok: false, failure: { code: '', detail: 'status 404, and no JSON' } });
  assert.match(other.detail, /404/);
});

test('an agent that is reached around its sidecar fails, unless that is permitted; what cannot be told is not told', () => {
  assert.equal(judgeAround([], false).verdict, 'ok');
  assert.equal(judgeAround(['0.0.0.0:8080'], false).verdict, 'fail');
  assert.equal(judgeAround(['0.0.0.0:8080'], true).verdict, 'warn');
  assert.equal(judgeAround(undefined, false).verdict, 'skip');
});

const socket = (mode: number, folderMode = 0o755) => ({
  path: '/run/x/y.sock',
  isSocket: true,
  mode,
  uid: 1000,
  folder: { path: '/run/x', mode: folderMode, uid: 1000 },
});

test('sockets: the admin socket is for its owner alone, that of the agent for no other, and no folder for everybody', () => {
  for (const [mode, use, verdict] of [
    [0o600, 'operators', 'ok'],
    [0o660, 'operators', 'fail'],
    [0o604, 'operators', 'fail'],
    [0o660, 'agent', 'ok'],
    [0o666, 'agent', 'warn'],
    [0o661, 'agent', 'warn'],
  ] as const) {
    assert.equal(judgeSocket(socket(mode), use).verdict, verdict, `${use} ${mode.toString(8)}`);
  }
  assert.match(judgeSocket(socket(0o660, 0o777), 'agent').detail, /anybody can put another socket/);
  assert.equal(judgeSocket(socket(0o660, 0o1777), 'agent').verdict, 'ok');
  assert.equal(judgeSocket({ ...socket(0o660), isSocket: false }, 'agent').verdict, 'fail');
});

test('names: an agent needs none in DNS, and one that leads elsewhere is worth a look; hosts need theirs', () => {
  const nowhere = { ok: false, code: 'ENOTFOUND' } as const;
  assert.match(judgeMeshName('researcher.mesh', nowhere).detail, /need not be/);
  assert.equal(judgeMeshName('researcher.mesh', { ok: true, addresses: ['127.0.0.1', '::1'] }).verdict, 'ok');
  const wildcard = judgeMeshName('researcher.mesh', { ok: true, addresses: ['127.0.0.1', '192.0.2.7'] });
  assert.equal(wildcard.verdict, 'warn');
  assert.match(wildcard.detail, /192\.0\.2\.7/);
  assert.equal(judgeHost('the authority', 'authority.invalid:17100', nowhere).verdict, 'fail');
  assert.equal(judgeHost('the authority', '[2001:db8::1]:17100', nowhere).verdict, 'ok');
  assert.equal(judgeHost('the authority', 'a.example:1', { ok: true, addresses: ['192.0.2.1'] }).verdict, 'ok');
});
