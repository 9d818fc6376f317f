import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as v from 'valibot';
import { parseTrustDomain } from '../../../src/domain/agent-id.ts';
import { sidecarConfigSchema, type SidecarConfig } from '../../../src/sidecar/config.ts';
import { LiveConfig } from '../../../src/sidecar/live-config.ts';

const DOMAIN = parseTrustDomain('acme.example');

function config(more: object = {}): SidecarConfig {
  const none = 'not_applicable';
  const measure = {
    system_prompt: none,
    knowledge_base: none,
    model: { provider: 'example', id: 'large', version: '1' },
    tools: none,
  };
  return v.parse(sidecarConfigSchema, {
    state_dir: 'state',
    authority: { join_credential: 'credential' },
    measure,
    ...more,
  });
}

const researcher = { agent: 'researcher', listen: 'unix:/run/researcher.sock' };

test('a plan changes nothing until it is applied; then all who hold a part see it', () => {
  const live = new LiveConfig(config({ peers: [researcher] }), DOMAIN);
  const { timing, limits } = live;
  const next = config({ timing: { heartbeat: '1s', exchange_timeout: '7s' }, limits: { unauthenticated: 5 } });
  const plan = live.plan(next);
  assert.deepEqual([timing.heartbeatMs, limits.unauthenticated, live.peers.size], [5000, 1024, 1]);
  live.apply(plan);
  assert.deepEqual([timing.heartbeatMs, limits.unauthenticated, limits.proveWithinMs], [1000, 5, 7000]);
  assert.equal(live.peers.size, 0);
  assert.deepEqual(plan.changed.toSorted(), [
    'limits.unauthenticated',
    'peers',
    'timing.exchange_timeout',
    'timing.heartbeat',
  ]);
  assert.deepEqual(plan.needsRestart, []);
});

test('what cannot change stays in force and is named, each setting by itself', () => {
  const live = new LiveConfig(config(), DOMAIN);
  const plan = live.plan(
    config({
      state_dir: 'elsewhere',
      authority: { join_credential: 'other' },
      inbound: { listen: '127.0.0.1:1' },
      metrics: { listen: '127.0.0.1:2' },
      admin: { socket: 'x.sock' },
      timing: { handshake_timeout: '1s', drain: '1s' },
      measure: { ...config().measure, interval: '9s' },
    }),
  );
  assert.deepEqual(plan.changed, ['timing.drain']);
  assert.deepEqual(plan.needsRestart.toSorted(), [
    'admin.socket',
    'authority.join_credential',
    'inbound.listen',
    'measure.interval',
    'metrics.listen',
    'state_dir',
    'timing.handshake_timeout',
  ]);
  live.apply(plan);
  const { state_dir, timing } = live.config;
  assert.deepEqual([state_dir, timing.handshake_timeout, timing.drain], ['state', 3000, 1000]);
});

test('an agent may come to listen, move, and stop taking calls; where nothing changed it is the same object', () => {
  const live = new LiveConfig(config(), DOMAIN);
  live.apply(live.plan(config({ app: { address: 'unix:/run/app.sock' } })));
  const { app } = live.config;
  assert.deepEqual(app, { address: 'unix:/run/app.sock', allow_reachable: false, read_bodies: 'json' });
  live.apply(live.plan(config({ app: { address: 'unix:/run/app.sock' }, log_level: 'warn' })));
  assert.equal(live.config.app, app);
  live.apply(live.plan(config()));
  assert.equal(live.config.app, undefined);
});

test('a peer that is found elsewhere or removed is displaced; one whose listener moves is not', () => {
  const writer = { agent: 'writer', listen: 'unix:/run/writer.sock' };
  const live = new LiveConfig(config({ peers: [researcher, writer, { ...writer, agent: 'critic' }] }), DOMAIN);
  const plan = live.plan(
    config({
      peers: [
        { ...researcher, address: '10.0.0.1:17443' },
        { ...writer, listen: 'unix:/run/other.sock' },
      ],
    }),
  );
  assert.deepEqual(plan.displaced, ['spiffe://acme.example/agent/researcher', 'spiffe://acme.example/agent/critic']);
});

test('a name that is none spoils the whole plan', () => {
  const live = new LiveConfig(config(), DOMAIN);
  assert.throws(() => live.plan(config({ peers: [{ ...researcher, agent: 'spiffe://acme.example/authority/..' }] })));
});

test('what holds for calls changes while the process runs, and is one object for all who look', () => {
  const live = new LiveConfig(config(), DOMAIN);
  const { calls } = live;
  assert.deepEqual(
    [calls.maxDeadlineMs, calls.maxHeaderBytes, calls.maxConcurrent, calls.stallTimeoutMs, calls.accessLog],
    [undefined, 65_536, 1000, 60_000, false],
  );
  assert.equal(calls.named.find({ method: 'GET', path: '/docs/a' }), undefined);
  const plan = live.plan(
    config({
      access_log: true,
      calls: {
        max_deadline: '30s',
        max_header_bytes: 2048,
        max_concurrent: 5,
        stall_timeout: '1s',
        methods: ['/docs/*'],
      },
    }),
  );
  assert.deepEqual(plan.needsRestart, []);
  live.apply(plan);
  assert.deepEqual(
    [calls.maxDeadlineMs, calls.maxHeaderBytes, calls.maxConcurrent, calls.stallTimeoutMs, calls.accessLog],
    [30_000, 2048, 5, 1000, true],
  );
  assert.equal(calls.named.find({ method: 'GET', path: '/docs/a' })?.label, '/docs/*');
  live.apply(live.plan(config()));
  assert.equal(calls.maxDeadlineMs, undefined);
  assert.equal(calls.named.find({ method: 'GET', path: '/docs/a' }), undefined);
});

test('settings for calls that make no sense are refused, each by its name', () => {
  const bad = {
    max_deadline: '0s',
    max_header_bytes: 10,
    max_concurrent: 0,
    stall_timeout: '1ms',
    methods: ['docs', 'get /docs', '/a//b', ''],
  };
  const result = v.safeParse(sidecarConfigSchema, { ...config(), measure: {}, calls: bad });
  const paths = (result.issues ?? []).map((issue) => v.getDotPath(issue)).filter((path) => path?.startsWith('calls'));
  assert.deepEqual(paths, [
    'calls.max_deadline',
    'calls.max_header_bytes',
    'calls.max_concurrent',
    'calls.stall_timeout',
    'calls.methods.0',
    'calls.methods.1',
    'calls.methods.2',
    'calls.methods.3',
  ]);
});
