import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, after, describe, test } from 'node:test';
import { runAit, type RunOptions } from '../support/run-ait.ts';

let folder = '';
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ait-config-'));
});
after(() => rm(folder, { recursive: true, force: true }));

const SIDECAR = `state_dir: state
authority:
  join_credential: credential
measure:
  system_prompt: { main: prompt.md }
  knowledge_base: not_applicable
  model: not_applicable
  tools: not_applicable
`;

/** What `--check-config` says of a file: every pattern must be there. Every process of the mesh exits 2 then. */
async function refused(
  verb: string,
  text: string,
  wanted: readonly RegExp[],
  { args = [], env }: RunOptions & { args?: string[] } = {},
) {
  const file = join(folder, 'config.yaml');
  await writeFile(file, text);
  const { code, output } = await runAit(
    [verb, '--config', file, '--check-config', ...args],
    env === undefined ? {} : { env },
  );
  assert.equal(code, 2, output);
  for (const pattern of wanted) assert.match(output, pattern);
  assert.doesNotMatch(output, /defect|\n\s+at /, 'nothing of the inside of the program');
  return output;
}

/** How many problems were listed. */
const problemsIn = (output: string) => output.split('\n').filter((line) => /\((file|env|flag) .*\)$/.test(line)).length;

describe('configuration with mistakes', { concurrency: false }, () => {
  test('a sidecar: all five mistakes at once, each with its line, exit 2', async () => {
    const text = SIDECAR.replace('state_dir: state', 'state_dir: ""')
      .replace('main: prompt.md', 'main: [1]')
      .concat('inbound: { listen: 10.0.0.7 }\n')
      .concat('app: { address: 10.0.0.7:8080 }\n')
      .concat('timing: { heartbeat: 1ms }\n');
    const output = await refused('sidecar', text, [
      /CONFIG_INVALID/,
      /state_dir: is empty \(file .*config\.yaml:1:1\)/,
      /measure\.system_prompt.*\(file .*config\.yaml:5:/,
      /inbound\.listen: expected host:port.*\(file .*config\.yaml:9:/,
      /app\.address: expected unix:\/absolute\/path or a loopback address.*plaintext.*config\.yaml:10:/,
      /timing\.heartbeat: at least 100 ms \(file .*config\.yaml:11:/,
    ]);
    assert.equal(problemsIn(output), 5, output);
  });

  test('an authority: all five mistakes at once, each with its line, exit 2', async () => {
    const text =
      'trust_domain: ACME\nlisten: nowhere\nsvid_lifetime: 1s\nlog_level: loud\nstate_epoch: 0\npolicy_dir: policy\n';
    const output = await refused('authority', text, [
      /trust_domain: is not a trust domain: lower-case.*config\.yaml:1:1/,
      /listen: is not host:port.*config\.yaml:2:1/,
      /svid_lifetime: is 1s; svid_lifetime takes 2 s.*config\.yaml:3:1/,
      /log_level: .*"loud" \(file .*config\.yaml:4:1/,
      /state_epoch: .*config\.yaml:5:1/,
    ]);
    assert.equal(problemsIn(output), 5, output);
  });

  test('keys that nobody knows are mistakes, with the one that was probably meant', async () => {
    await refused('sidecar', SIDECAR.replace('join_credential', 'join_credental').concat('metrix: {}\n'), [
      /authority\.join_credental: is not a setting.*config\.yaml:3:3\)\n\s+did you mean join_credential\?/,
      /metrix: is not a setting.*\n\s+did you mean metrics\?/,
      /authority\.join_credential: is required.*\n.*as AIT_SIDECAR_AUTHORITY__JOIN_CREDENTIAL or with --set authority\.join_credential/,
    ]);
    await refused('authority', 'trust_domain: acme.example\npolcy_dir: policy\n', [
      /polcy_dir: is not a setting.*\n\s+did you mean policy_dir\?/,
      /policy_dir: is required.*\n.*AIT_AUTHORITY_POLICY_DIR or with --policy-dir/,
    ]);
  });

  test('mistakes in variables and in --set are named by the variable and the flag, together with those of the file', async () => {
    const env = {
      AIT_SIDECAR_METRICS__LISTEN: 'nowhere',
      AIT_SIDECAR_METRIX__LISTEN: '1',
      AIT_SIDECAR_LIMITS__UNAUTHENTICATED: 'many',
    };
    const args = ['--set', 'timing.drain=soon', '--set', 'inbund.listen=127.0.0.1:0', '--set', 'socket_mode'];
    await refused(
      'sidecar',
      SIDECAR.concat('log_level: loud\n'),
      [
        /metrics\.listen: expected host:port.*\(env AIT_SIDECAR_METRICS__LISTEN\)/,
        /METRIX: is not a setting \(env AIT_SIDECAR_METRIX__LISTEN\)\n\s+did you mean metrics\?/,
        /limits\.unauthenticated: .*"many" \(env AIT_SIDECAR_LIMITS__UNAUTHENTICATED\)/,
        /timing\.drain: "soon" is not a duration \(flag --set timing\.drain\)/,
        /inbund: is not a setting \(flag --set inbund\.listen\)\n\s+did you mean inbound\?/,
        /socket_mode: is empty \(flag --set socket_mode\)/,
        /log_level: .*"loud" \(file /,
      ],
      { args, env },
    );
    await refused(
      'authority',
      'policy_dir: policy\n',
      [/trust_domain: is not a trust domain.*\(flag --trust-domain\)/],
      { args: ['--trust-domain', 'A B'] },
    );
  });

  for (const [what, text, says] of [
    ['not YAML', 'state_dir: [\nauthority: x\n', /config\.yaml:2:1/],
    ['the same key twice', 'state_dir: a\nstate_dir: b\n', /config\.yaml:2:1/],
    ['a list', '- a\n', /must be a mapping of keys to values \(file .*config\.yaml:1:1\)/],
    ['empty', '', /state_dir: is required/],
  ] as const) {
    test(`a file that is ${what}: named with the place, exit 2`, async () => {
      await refused('sidecar', text, [says]);
    });
  }

  test('a file that is not there, and one that is a directory: named, exit 2', async () => {
    for (const file of [join(folder, 'gone.yaml'), folder]) {
      const { code, output } = await runAit(['sidecar', '--config', file, '--check-config']);
      assert.equal(code, 2);
      assert.ok(output.includes(`cannot be read`) && output.includes(`(file ${file})`), output);
    }
  });

  test('without --check-config the same mistakes keep the process from starting, exit 2', async () => {
    const file = join(folder, 'config.yaml');
    await writeFile(file, SIDECAR.concat('metrix: {}\n'));
    for (const args of [
      ['sidecar', '--config', file],
      ['authority', '--config', file],
    ]) {
      const { code, output } = await runAit(args);
      assert.equal(code, 2);
      assert.match(output, /metrix: is not a setting/);
    }
  });

  test('a configuration in order: exit 0', async () => {
    const file = join(folder, 'config.yaml');
    await writeFile(file, SIDECAR);
    assert.equal((await runAit(['sidecar', '--config', file, '--check-config'])).code, 0);
  });
});
