import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { Command, CommanderError } from 'commander';
import { parseTrustDomain } from '../../../src/domain/agent-id.ts';
import { readPolicyFile } from '../../../src/authority/policy/policy-objects.ts';
import { registerBaselineCommands } from '../../../src/cli/baseline-command.ts';

const CONFIG = `
state_dir: somewhere
measure:
  system_prompt: { main: prompt.md, "10": second.md }
  knowledge_base: not_applicable
  model: { file: model.json }
  tools: { manifest: tools.json }
`;

interface Run {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function ait(...argv: string[]): Promise<Run> {
  let code = -1;
  const out: string[] = [];
  const err: string[] = [];
  const program = new Command()
    .exitOverride()
    .configureOutput({ writeErr: (text) => err.push(text), writeOut: (text) => out.push(text) });
  registerBaselineCommands(program, {
    print: (line) => out.push(`${line}\n`),
    error: (line) => err.push(`${line}\n`),
    exitCode: (value) => {
      code = value;
    },
  });
  try {
    await program.parseAsync(['baseline', ...argv], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    code = error.exitCode;
  }
  return { code, out: out.join(''), err: err.join('') };
}

function agentFolder(t: TestContext): (name: string, content?: string) => string {
  const root = mkdtempSync(join(tmpdir(), 'ait-baseline-'));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  const at = (name: string, content?: string): string => {
    if (content !== undefined) writeFileSync(join(root, name), content);
    return join(root, name);
  };
  at('sidecar.yaml', CONFIG);
  at('prompt.md', 'Be kind.\nBe brief.\n');
  at('second.md', 'Second.');
  at('model.json', '{"provider":"acme","id":"large","version":"1.0"}');
  at('tools.json', '[{"name":"zeta"},{"name":"alpha"}]');
  mkdirSync(at('folder'));
  return at;
}

const approval = ['--approved-by', 'ada@acme.example', '--approved-at', '2026-01-31T12:00:00Z'];
const build = (at: (name: string) => string, ...more: string[]) =>
  ait('build', '--agent', 'planner', '--config', at('sidecar.yaml'), ...approval, ...more);

test('build writes the same bytes each time, in the form that the authority reads', async (t) => {
  const at = agentFolder(t);
  const first = await build(at, '--minimum-assurance', 'at_rest', '--minimum-assurance', 'model=declared');
  assert.equal(first.code, 0, first.err);
  at('tools.json', '{"tools":[{"name":"alpha"},{"name":"zeta"}]}');
  assert.deepEqual(await build(at, '--minimum-assurance', 'at_rest', '--minimum-assurance', 'model=declared'), first);

  const { records, problems } = readPolicyFile('b.yaml', first.out, parseTrustDomain('acme.example'));
  assert.deepEqual(problems, []);
  const object = records[0]?.object;
  assert.ok(object?.kind === 'baseline');
  assert.match(object.value.id, /^planner-[0-9a-f]{12}$/);
  assert.equal(object.value.agent, 'spiffe://acme.example/agent/planner');
  assert.equal(object.value.approvedAt, Date.parse('2026-01-31T12:00:00Z'));
  assert.deepEqual(object.value.minimumAssurance, {
    system_prompt: 'at_rest',
    knowledge_base: 'declared',
    model: 'declared',
    tools: 'at_rest',
  });
  assert.deepEqual(Object.keys(object.value.digests.tools?.tools ?? {}), ['alpha', 'zeta']);
  assert.equal(object.value.digests.knowledge_base, null);
});

test('build writes to a file, with an id and a whole SPIFFE ID, and says so in JSON', async (t) => {
  const at = agentFolder(t);
  const agent = ['--agent', 'spiffe://acme.example/agent/team/planner', '--config', at('sidecar.yaml')];
  const run = await ait('build', ...agent, ...approval, '--id', 'v1', '--output', at('b.yaml'), '--json');
  assert.equal(run.code, 0, run.err + run.out);
  const told = JSON.parse(run.out) as { ok: boolean; id: string; baseline: { agent: string } };
  assert.deepEqual([told.ok, told.id, told.baseline.agent], [true, 'v1', 'spiffe://acme.example/agent/team/planner']);
  assert.match(readFileSync(at('b.yaml'), 'utf8'), /^kind: Baseline\nid: v1\n/);
  assert.equal((await ait('verify', at('b.yaml'), '--config', at('sidecar.yaml'))).code, 0);
});

test('verify: 0 when equal, 1 on drift with every item, whitespace named with its place', async (t) => {
  const at = agentFolder(t);
  await build(at, '--output', at('b.yaml'));
  const verify = (...more: string[]) => ait('verify', at('b.yaml'), '--config', at('sidecar.yaml'), ...more);
  const equal = await verify();
  assert.deepEqual([equal.code, equal.out.split(':')[0]], [0, 'equal']);

  at('approved.md', 'Be kind.\r\nBe brief.\n');
  at('prompt.md', 'Be kind.\nBe  brief.\n');
  at('tools.json', '[{"name":"alpha"}]');
  const drift = await verify('--approved-text', `main=${at('approved.md')}`);
  assert.equal(drift.code, 1, drift.err);
  assert.match(
    drift.out,
    /system_prompt "main"\n {2}expected {2}ait-text-1 sha256:\w{64}\n {2}observed {2}ait-text-1 sha256:/,
  );
  assert.match(drift.out, /only whitespace differs: first at byte 12 \(line 2, column 4\)/);
  assert.match(drift.out, /tools "zeta"\n {2}expected {2}ait-json-1 sha256:\w{64}\n {2}observed {2}\(absent\)/);
  assert.ok(!drift.out.includes('Be kind'), 'the text itself must not be shown');

  const json = JSON.parse((await verify('--json', '--approved-text', `main=${at('approved.md')}`)).out) as {
    ok: boolean;
    agent: string;
    differences: { item: string; text?: { byteOffset: number; whitespaceOnly: boolean } }[];
  };
  assert.deepEqual(
    [json.ok, json.agent, json.differences.map(({ item }) => item)],
    [false, 'planner', ['main', 'zeta']],
  );
  assert.deepEqual([json.differences[0]?.text?.byteOffset, json.differences[0]?.text?.whitespaceOnly], [12, true]);
});

test('verify: 2 for what the caller got wrong, 3 for what cannot be measured', async (t) => {
  const at = agentFolder(t);
  await build(at, '--output', at('b.yaml'));
  const verify = (...more: string[]) => ait('verify', at('b.yaml'), '--config', at('sidecar.yaml'), ...more);
  const wrongText = await verify('--approved-text', `main=${at('second.md')}`);
  assert.deepEqual([wrongText.code, /not the text that the baseline approves/.test(wrongText.err)], [2, true]);
  assert.equal((await verify('--approved-text', at('second.md'))).code, 2);
  assert.equal((await verify('--id', 'other')).code, 2);
  assert.equal((await verify('--nonsense')).code, 2);
  assert.equal((await ait('verify', at('gone.yaml'), '--config', at('sidecar.yaml'))).code, 2);
  assert.equal((await ait('verify', at('b.yaml'))).code, 2);

  const broken = await ait(
    'verify',
    at('b.yaml'),
    '--config',
    at('broken.yaml', 'measure: { interval: x, tools: 1 }'),
    '--json',
  );
  assert.equal(broken.code, 2);
  const { error } = JSON.parse(broken.out) as { error: { code: string; message: string } };
  assert.equal(error.code, 'CONFIG_INVALID');
  assert.match(error.message, /measure\.system_prompt[^]*measure\.tools[^]*measure\.interval/);

  at('second.md', '');
  const empty = await verify();
  assert.deepEqual([empty.code, empty.err], [3, `error: cannot measure: system_prompt: ${at('second.md')}: empty\n`]);
});

test('templates and the absence of a prompt are built, verified and compared like texts', async (t) => {
  const at = agentFolder(t);
  const config = (slots: string) =>
    at(
      'sidecar.yaml',
      CONFIG.replace('main: prompt.md', `main: { file: prompt.md, slots: ${slots} }, quiet: { none: true }`),
    );
  config('{ day: { type: date } }');
  at('prompt.md', 'On {{day}}: be kind.\n');
  const built = await build(at, '--id', 'v1', '--output', at('b.yaml'));
  assert.equal(built.code, 0, built.err);
  assert.match(readFileSync(at('b.yaml'), 'utf8'), /canonicalization: ait-template-1[^]*canonicalization: ait-none-1/);
  const verify = (...more: string[]) => ait('verify', at('b.yaml'), '--config', at('sidecar.yaml'), ...more);
  assert.equal((await verify()).code, 0);

  at('approved.md', 'On {{day}}: be kind.\n');
  at('prompt.md', 'On {{day}}: be cruel.\n');
  const drift = await verify('--approved-text', `main=${at('approved.md')}`);
  assert.deepEqual(
    [drift.code, /the text differs: first at byte 15/.test(drift.out)],
    [1, true],
    drift.out + drift.err,
  );
  const two = await verify(
    '--approved-text',
    `main=${at('approved.md')}`,
    '--approved-text',
    `main=${at('prompt.md')}`,
  );
  assert.deepEqual([two.code, /as a template: one file, with slots/.test(two.err)], [2, true]);

  at('prompt.md', 'On {{day}}: be kind.\n');
  config('{ day: { type: id } }');
  assert.equal((await verify()).code, 1);
  assert.equal((await build(at, '--id', 'v2', '--output', at('v2.yaml'))).code, 0);
  const diff = await ait('diff', at('b.yaml'), at('v2.yaml'));
  assert.deepEqual([diff.code, /system_prompt "main"\n {2}a {2}ait-template-1/.test(diff.out)], [1, true], diff.out);
  config('{ date: { type: date } }');
  assert.equal((await verify()).code, 3);
});

test('build: refuses what the authority would refuse', async (t) => {
  const at = agentFolder(t);
  const attempt = (agent: string, approvedAt: string, ...more: string[]) =>
    ait(
      'build',
      '--config',
      at('sidecar.yaml'),
      '--approved-by',
      'ada',
      '--agent',
      agent,
      '--approved-at',
      approvedAt,
      ...more,
    );
  const time = '2026-01-31T12:00:00Z';
  for (const [run, expected] of [
    [await attempt('planner', 'yesterday'), /is not a time/],
    [await attempt('no/../where', time), /no\/\.\.\/where/],
    [await attempt('spiffe://acme.example/authority', time), /is not an agent/],
    [await attempt('planner', time, '--id', 'a b'), /is not an id/],
    [await attempt('planner', time, '--minimum-assurance', 'sure'), /is not a minimum assurance/],
    [await attempt('planner', time, '--output', at('folder')), /EISDIR|ENOTEMPTY|directory/],
    [await ait('build', '--agent', 'planner'), /required option '--config/],
  ] as const) {
    assert.equal(run.code, 2, run.out + run.err);
    assert.match(run.err, expected);
  }
  at('prompt.md', '');
  assert.equal((await attempt('planner', time)).code, 3);
});

test('diff: 0 same though ids differ, 1 with each difference, 2 for a file that is none', async (t) => {
  const at = agentFolder(t);
  await build(at, '--id', 'v1', '--output', at('v1.yaml'));
  await build(at, '--id', 'v1-again', '--output', at('v1-again.yaml'));
  at('model.json', '{"provider":"acme","id":"large","version":"2.0"}');
  await build(at, '--id', 'v2', '--minimum-assurance', 'tools=at_rest', '--output', at('v2.yaml'));
  assert.equal((await ait('diff', at('v1.yaml'), at('v1-again.yaml'))).code, 0);
  const run = await ait('diff', at('v1.yaml'), at('v2.yaml'));
  assert.equal(run.code, 1);
  assert.match(
    run.out,
    /model "version"\n {2}a {2}1\.0\n {2}b {2}2\.0\nminimum_assurance tools\n {2}a {2}declared\n {2}b {2}at_rest/,
  );
  const json = JSON.parse((await ait('diff', at('v1.yaml'), at('v2.yaml'), '--json')).out) as { ok: boolean };
  assert.equal(json.ok, false);
  const none = await ait('diff', at('v1.yaml'), at('sidecar.yaml'));
  assert.deepEqual([none.code, /sidecar\.yaml:2:1: kind is missing/.test(none.err)], [2, true], none.err);
});

test('help names the exit codes and is no error', async () => {
  for (const name of ['build', 'verify', 'diff']) {
    const run = await ait(name, '--help');
    assert.equal(run.code, 0);
    assert.match(run.out, /Example[^]*ait baseline[^]*Exit codes: 0/);
  }
});
