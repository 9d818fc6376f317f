import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import * as v from 'valibot';
import { ConfigError, loadConfig, type ConfigProblem } from '../../../src/platform/config-source.ts';

const schema = v.object({
  trustDomain: v.string(),
  admin: v.optional(
    v.object({ socketPath: v.optional(v.string(), '/run/ait.sock'), port: v.optional(v.number()) }),
    {},
  ),
  peers: v.optional(v.array(v.object({ agent: v.string(), weight: v.optional(v.number()) })), []),
  labels: v.optional(v.record(v.string(), v.string()), {}),
  dns: v.optional(v.array(v.string()), []),
  observe: v.optional(v.boolean(), false),
  mode: v.optional(v.picklist(['strict', 'lax']), 'strict'),
  joinToken: v.optional(v.pipe(v.string(), v.minLength(20))),
  source: v.optional(
    v.variant('kind', [
      v.object({ kind: v.literal('file'), path: v.string() }),
      v.object({ kind: v.literal('inline'), text: v.string() }),
    ]),
  ),
});

let directory: string;
let file: string;
beforeEach(() => {
  directory = fs.mkdtempSync(join(tmpdir(), 'config-source-'));
  file = join(directory, 'config.yaml');
});
afterEach(() => fs.rmSync(directory, { recursive: true, force: true }));

interface Input {
  yaml?: string;
  env?: Record<string, string>;
  flags?: Record<string, string | undefined>;
}
function load({ yaml, env = {}, flags = {} }: Input) {
  if (yaml !== undefined) fs.writeFileSync(file, yaml);
  return loadConfig({ schema, env, flags, ...(yaml === undefined ? {} : { file }) });
}
function problemsOf(input: Input): readonly ConfigProblem[] {
  try {
    load(input);
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    assert.equal(error.code, 'CONFIG_INVALID');
    return error.problems.map((problem) => ({ ...problem, source: problem.source.replace(file, 'config.yaml') }));
  }
  return assert.fail('accepted');
}

describe('loadConfig', () => {
  test('flags win over the environment, which wins over the file, which wins over defaults', () => {
    const yaml = 'trustDomain: file.example\nadmin: { socketPath: /file, port: 1 }\nmode: lax\n';
    const env = { AIT_TRUST_DOMAIN: 'env.example', AIT_ADMIN__SOCKET_PATH: '/env', PATH: '/bin' };
    const config = load({ yaml, env, flags: { trustDomain: 'flag.example', 'admin.port': undefined } });
    assert.equal(config.trustDomain, 'flag.example');
    assert.deepEqual(config.admin, { socketPath: '/env', port: 1 });
    assert.deepEqual([config.mode, config.observe], ['lax', false]);
  });

  test('text becomes what the schema wants', () => {
    const config = load({
      env: {
        AIT_TRUSTDOMAIN: 'a',
        AIT_ADMIN__PORT: '17',
        AIT_OBSERVE: 'true',
        AIT_DNS: 'x, y',
        AIT_LABELS__zone: 'eu',
      },
      flags: {
        'peers.0.agent': '123',
        'peers[1].agent': 'b',
        'peers[1].weight': '0.5',
        source: '{kind: inline, text: t}',
      },
    });
    assert.equal(config.admin.port, 17);
    assert.equal(config.observe, true);
    assert.deepEqual(config.dns, ['x', 'y']);
    assert.deepEqual(config.labels, { zone: 'eu' });
    assert.deepEqual(config.peers, [{ agent: '123' }, { agent: 'b', weight: 0.5 }]);
    assert.deepEqual(config.source, { kind: 'inline', text: 't' });
  });

  test('the result is frozen to its depths', () => {
    const config = load({ yaml: 'trustDomain: a\npeers: [{ agent: x }]\n' });
    assert.throws(() => ((config.peers[0] as { agent: string }).agent = 'y'), TypeError);
    assert.throws(() => config.dns.push('y'), TypeError);
  });

  test('all problems are told at once, each with its place', () => {
    const problems = problemsOf({
      yaml: 'peers:\n  - agent: a\n    weight: heavy\n  - weigth: 2\nadmin:\n  port: x\n',
      env: { AIT_OBSERVE: 'yes' },
      flags: { mode: 'loose' },
    });
    const places = Object.fromEntries(problems.map(({ path, source }) => [path, source]));
    assert.deepEqual(places, {
      trustDomain: 'file config.yaml:1:1',
      'peers[0].weight': 'file config.yaml:3:5',
      'peers[1].weigth': 'file config.yaml:4:5',
      'peers[1].agent': 'file config.yaml:4:5',
      'admin.port': 'file config.yaml:6:3',
      observe: 'env AIT_OBSERVE',
      mode: 'flag --mode',
    });
  });

  test('a key that does not exist is a problem that says what was meant, wherever it comes from', () => {
    const problems = problemsOf({
      yaml: 'trustDomain: a\nsource: { kind: file, path: p, txt: q }\nobserv: true\n',
      env: { AIT_ADMIN__SOCKETPTH: 'x' },
      flags: { peer: 'x' },
    });
    const hints = Object.fromEntries(problems.map(({ path, hint }) => [path, hint]));
    assert.equal(hints['observ'], 'did you mean observe?');
    assert.equal(hints['admin.SOCKETPTH'], 'did you mean socketPath?');
    assert.equal(hints['peer'], 'did you mean peers?');
    assert.match(hints['source.txt'] ?? '', /^it can be: kind, path$/);
  });

  test('syntax errors and duplicate keys are problems with their line', () => {
    assert.equal(problemsOf({ yaml: 'trustDomain: a\nmode: strict\nmode: lax\n' })[0]?.source, 'file config.yaml:3:1');
    const syntax = problemsOf({ yaml: 'trustDomain: a\npeers: [\n' });
    assert.match(syntax[0]?.source ?? '', /^file config\.yaml:[23]:/);
    assert.equal(syntax.length, 1, JSON.stringify(syntax));
  });

  test('empty never means a default: not in the file, a variable or a flag', () => {
    const problems = problemsOf({
      yaml: 'trustDomain: ""\nadmin:\ndns: [""]\n',
      env: { AIT_OBSERVE: '' },
      flags: { mode: '' },
    });
    const empty = problems.filter(({ message }) => message === 'is empty').map(({ path }) => path);
    assert.deepEqual(empty.sort(), ['admin', 'dns[0]', 'mode', 'observe', 'trustDomain']);
  });

  test('a missing file, one that is no mapping, binary or a bomb of aliases is a problem', () => {
    assert.throws(() => loadConfig({ schema, env: {}, file: join(directory, 'none') }), /cannot be read/);
    assert.match(problemsOf({ yaml: '- a\n' })[0]?.message ?? '', /mapping/);
    fs.writeFileSync(file, Buffer.from([0xff, 0xfe, 0x00]));
    assert.throws(() => loadConfig({ schema, env: {}, file }), ConfigError);
    const levels = Array.from({ length: 12 }, (_, n) => `l${n + 1}: &l${n + 1} [${Array(9).fill(`*l${n}`).join(',')}]`);
    assert.match(problemsOf({ yaml: `l0: &l0 x\n${levels.join('\n')}\n` })[0]?.message ?? '', /alias/i);
  });

  test('an empty file is an empty mapping', () => {
    assert.equal(load({ yaml: '# nothing\n', flags: { trustDomain: 'a' } }).trustDomain, 'a');
  });

  test('the value of a secret is in no message', () => {
    const problems = problemsOf({ yaml: 'trustDomain: a\njoinToken: hunter2\n' });
    assert.equal(problems[0]?.path, 'joinToken');
    assert.doesNotMatch(JSON.stringify(problems), /hunter2/);
    assert.doesNotMatch(JSON.stringify(problemsOf({ env: { AIT_JOIN_TOKEN: 'hunter2' } })), /hunter2/);
  });

  test("a Kubernetes Service's variables are not taken for configuration", () => {
    const env = {
      AIT_TRUST_DOMAIN: 'a',
      AIT_AUTHORITY_SERVICE_HOST: '10.0.0.1',
      AIT_AUTHORITY_SERVICE_PORT_GRPC: '17100',
      AIT_AUTHORITY_PORT: 'tcp://10.0.0.1:17100',
      AIT_AUTHORITY_PORT_17100_TCP_ADDR: '10.0.0.1',
    };
    assert.equal(load({ env }).trustDomain, 'a');
  });

  test('a name that the validator would skip without a word is a problem, so that nothing goes unmeasured', () => {
    const problems = problemsOf({ yaml: 'trustDomain: a\nlabels: { constructor: x, prototype: y, fine: z }\n' });
    assert.deepEqual(problems.map(({ path }) => path).toSorted(), ['labels.constructor', 'labels.prototype']);
  });

  test('names of Object are no settings and pollute nothing', () => {
    const problems = problemsOf({
      yaml: 'trustDomain: a\n__proto__: { polluted: true }\nconstructor: x\n',
      flags: { '__proto__.polluted': 'x', 'labels.__proto__': 'y' },
    });
    assert.ok(problems.some(({ path }) => path.startsWith('__proto__')));
    assert.equal(({} as Record<string, unknown>)['polluted'], undefined);
  });

  test('the message lists every problem with its source', () => {
    const message = (() => {
      try {
        load({ env: { AIT_MODE: 'loose' } });
      } catch (error) {
        return (error as Error).message;
      }
      return '';
    })();
    assert.match(
      message,
      /trustDomain: is required \(default\)\n +set it in the file, as AIT_TRUST_DOMAIN or with --trustDomain/,
    );
    assert.match(message, /mode: .*\(env AIT_MODE\)/);
  });
});
