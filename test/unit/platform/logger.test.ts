import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { MeshError } from '../../../src/domain/mesh-error.ts';
import { createLogger, type LoggerOptions } from '../../../src/platform/logger.ts';

function capture(options: Partial<LoggerOptions> = {}) {
  const lines: string[] = [];
  const clock = { now: () => Date.UTC(2026, 0, 2), monotonic: () => 0 };
  const logger = createLogger({
    name: 'sidecar',
    clock,
    destination: { write: (line) => lines.push(line) },
    ...options,
  });
  const last = (): Record<string, unknown> => JSON.parse(lines.at(-1) ?? '{}') as Record<string, unknown>;
  return { logger, lines, last };
}

test('a line is JSON with time, level, name, event and fields, and nothing else', () => {
  const { logger, lines, last } = capture();
  logger.info('session_opened', { peer: 'a', count: 2 });
  assert.deepEqual(last(), {
    ts: '2026-01-02T00:00:00.000Z',
    level: 'info',
    name: 'sidecar',
    event: 'session_opened',
    peer: 'a',
    count: 2,
  });
  assert.match(lines[0] ?? '', /^\{.*\}\n$/);
});

test('anything named as a secret is hidden, at any depth and in any spelling', () => {
  const { logger, lines } = capture();
  const hidden = 'hunter2';
  logger.info('x', {
    token: hidden,
    joinToken: hidden,
    'api-key': hidden,
    CLIENT_SECRET: hidden,
    nested: [{ credential: { inner: hidden } }],
    map: new Map([['privateKey', hidden]]),
    bytes: Buffer.from(hidden),
  });
  logger.child({ authorization: `Bearer ${hidden}` }).info('y');
  assert.doesNotMatch(lines.join(''), /hunter2/);
  assert.doesNotMatch(lines.join(''), /104,117/);
});

test('names and counts that only sound like secrets are kept', () => {
  const { logger, last } = capture();
  logger.info('x', { keyId: 'k1', kid: 'k2', tokens: 512, monkey: 'm', hasKey: true });
  const { keyId, kid, tokens, monkey, hasKey } = last();
  assert.deepEqual([keyId, kid, tokens, monkey, hasKey], ['k1', 'k2', 512, 'm', true]);
});

test('an error is written with its code, hint and causes', () => {
  const { logger, last } = capture();
  logger.error('failed', {
    error: new MeshError('STATE_LOCKED', 'in use', { hint: 'stop it', cause: new Error('eexist') }),
  });
  const error = last()['error'] as Record<string, unknown>;
  assert.deepEqual([error['type'], error['code'], error['hint']], ['MeshError', 'STATE_LOCKED', 'stop it']);
  assert.equal((error['cause'] as Record<string, unknown>)['message'], 'eexist');
});

test('no value makes logging throw', () => {
  const { logger, lines } = capture();
  const cycle: Record<string, unknown> = {};
  cycle['self'] = cycle;
  const hostile = new Proxy(
    {},
    {
      ownKeys: () => {
        throw new Error('no');
      },
    },
  );
  logger.info('x', { cycle, hostile, big: 10n, date: new Date(NaN), odd: '\ud800', fn: () => 1, symbol: Symbol('s') });
  assert.equal(lines.length, 1);
  assert.doesNotThrow(() => JSON.parse(lines[0] ?? '') as unknown);
});

test('a field cannot forge the time, level or event of its line', () => {
  const { logger, lines } = capture();
  logger.info('real', { event: 'forged', level: 'fatal', ts: '1970' });
  const parsed = JSON.parse(lines[0] ?? '{}') as Record<string, unknown>;
  assert.deepEqual([parsed['event'], parsed['level'], parsed['ts']], ['real', 'info', '2026-01-02T00:00:00.000Z']);
  assert.equal(parsed['field_event'], 'forged');
  assert.equal(lines[0]?.match(/"event":/g)?.length, 1);
});

test('the level can change at run time, for the children too', () => {
  const { logger, lines } = capture();
  const child = logger.child({ part: 'exchange' });
  child.debug('hidden');
  logger.level = 'debug';
  child.debug('shown');
  assert.equal(child.level, 'debug');
  logger.level = 'silent';
  logger.fatal('hidden');
  assert.equal(lines.length, 1);
});

/** Runs a program that logs, and gives what it wrote and how it ended. */
async function run(body: string, closeStdout = false): Promise<{ stdout: string; code: number | null }> {
  const url = new URL('../../../src/platform/logger.ts', import.meta.url).href;
  const program = `import { createLogger } from ${JSON.stringify(url)};\nconst logger = createLogger({ name: 'x' });\n${body}`;
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program], {
    cwd: fileURLToPath(new URL('../../..', import.meta.url)),
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  if (closeStdout) child.stdout.destroy();
  let stdout = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  return { stdout, code };
}

test('a crash right after a line does not lose it', async () => {
  const { stdout } = await run(
    "for (let n = 0; n < 500; n += 1) logger.info('line', { n }); process.kill(process.pid, 'SIGKILL');",
  );
  assert.equal(stdout.trim().split('\n').length, 500);
});

test('a reader that went away does not end the process', async () => {
  const { code } = await run("for (let n = 0; n < 100; n += 1) logger.info('line'); process.exitCode = 7;", true);
  assert.equal(code, 7);
});
