/**
 * The image, without Docker: the Dockerfile is parsed and linted, and what its steps would do is done. What the last
 * stage copies, and nothing else, runs as another user from a tree that nobody can write.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { DockerfileParser, type Copy, type Dockerfile, type Instruction } from 'dockerfile-ast';
import { ValidationSeverity, validate } from 'dockerfile-utils';

const root = fileURLToPath(new URL('../..', import.meta.url));
const text = readFileSync(join(root, 'deploy/docker/Dockerfile'), 'utf8');
const dockerfile = DockerfileParser.parse(text);
const ignored = readFileSync(join(root, '.dockerignore'), 'utf8');
/** Neither root nor whoever runs the tests. */
const OTHER_USER = 54_321;

interface Stage {
  readonly name: string;
  readonly from: string;
  readonly instructions: readonly Instruction[];
}

function stagesOf(parsed: Dockerfile): Map<string, Stage> {
  const stages = new Map<string, Stage>();
  let current: { name: string; from: string; instructions: Instruction[] } | undefined;
  for (const instruction of parsed.getInstructions()) {
    if (instruction.getKeyword() === 'FROM') {
      const [from = '', , name = ''] = instruction.getArguments().map((each) => each.getValue());
      current = { name, from, instructions: [] };
      stages.set(name, current);
    } else current?.instructions.push(instruction);
  }
  return stages;
}

const stages = stagesOf(dockerfile);
const of = (stage: string, keyword: string) => {
  const { instructions = [] } = stages.get(stage) ?? {};
  return instructions.filter((each) => each.getKeyword() === keyword);
};
const words = (instruction: Instruction) => instruction.getArguments().map((each) => each.getValue());

interface Copied {
  readonly from: string | undefined;
  readonly sources: readonly string[];
  readonly target: string;
}

function copiesOf(stage: string): Copied[] {
  return of(stage, 'COPY').map((instruction) => {
    const from = (instruction as Copy).getFromFlag()?.getValue() ?? undefined;
    const paths = words(instruction);
    return { from, sources: paths.slice(0, -1), target: paths.at(-1) ?? '' };
  });
}

/** As Docker copies: of a folder its content, of a file the file. */
function copy(source: string, target: string): void {
  const into = target.endsWith('/') && !source.endsWith('/') ? join(target, basename(source)) : target;
  cpSync(source, into, { recursive: true });
}

test('the Dockerfile has no fault that its linter knows, and the base is one active LTS, pinned by who builds', () => {
  const faults = validate(text).filter(({ severity }) => severity === ValidationSeverity.ERROR);
  assert.deepEqual(faults, []);
  assert.match(text, /^ARG NODE_IMAGE=node:24-bookworm-slim$/m);
  const bases = [...stages.values()].map(({ from }) => from).filter((from) => !stages.has(from));
  assert.deepEqual(new Set(bases), new Set(['${NODE_IMAGE}']));
});

test('the images run as numeric users that are not root, agents as another than sidecars', () => {
  const [ait, examples] = ['ait', 'examples'].map((stage) => of(stage, 'USER').flatMap(words).join());
  assert.equal(ait, '10001:10001');
  assert.equal(examples, '10002:10002');
  assert.equal([...stages.keys()].at(-1), 'ait', 'a build without a target makes ait');
});

test('what is copied into the build is what .dockerignore lets through, and it lets nothing else through', () => {
  const [first, ...allowed] = ignored.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  assert.equal(first, '*', 'everything is left out at first');
  const copied = copiesOf('build').flatMap(({ sources }) => sources.map((source) => source.replace(/\/$/, '')));
  assert.deepEqual(new Set(allowed), new Set(copied.map((source) => `!${source}`)));
  for (const source of copied) assert.ok(existsSync(join(root, source)), source);
});

/** Does the build stage in a folder: the real build, with the packages that are installed here. */
function build(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'ait-image-'));
  t.after(() => {
    execFileSync('chmod', ['-R', 'u+w', folder]);
    rmSync(folder, { recursive: true });
  });
  for (const { sources, target, from } of copiesOf('build')) {
    assert.equal(from, undefined);
    for (const source of sources)
      copy(join(root, source), join(folder, 'src', target) + (target.endsWith('/') ? '/' : ''));
  }
  symlinkSync(join(root, 'node_modules'), join(folder, 'src/node_modules'));
  const steps = of('build', 'RUN').map((each) => each.getRawArgumentsContent());
  assert.deepEqual(steps, ['npm ci --no-audit --no-fund', 'npm run build']);
  execFileSync(process.execPath, ['scripts/build.mjs'], {
    cwd: join(folder, 'src'),
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  return folder;
}

/** Nobody can write it, and everybody read it. */
function seal(folder: string): void {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true }))
    chmodSync(join(entry.parentPath, entry.name), entry.isDirectory() ? 0o555 : 0o444);
  for (let path = folder; path !== tmpdir() && path !== dirname(path); path = dirname(path)) chmodSync(path, 0o555);
}

test('what the last stage copies is all that ait needs, for another user, in a tree that nobody can write', (t) => {
  const folder = build(t);
  const image = join(folder, 'image');
  for (const { from, sources, target } of copiesOf('ait')) {
    assert.equal(from, 'build');
    for (const source of sources) copy(`${folder}${source}`, `${image}${target}`);
  }
  const config = join(image, 'sidecar.yaml');
  const measure = {
    system_prompt: { main: 'p.md' },
    knowledge_base: 'not_applicable',
    model: 'not_applicable',
    tools: 'not_applicable',
  };
  writeFileSync(config, JSON.stringify({ state_dir: 'state', authority: { join_credential: 'c' }, measure }));
  // The link to the packages would lead back to them.
  rmSync(join(folder, 'src'), { recursive: true });
  seal(image);
  const [, heap = ''] = /NODE_OPTIONS="([^"]+)"/.exec(text) ?? [];
  const as = process.getuid?.() === 0 ? { uid: OTHER_USER, gid: OTHER_USER } : {};
  const ait = (...args: string[]) =>
    spawnSync(process.execPath, [join(image, 'opt/ait/ait.mjs'), ...args], {
      ...as,
      cwd: image,
      env: { NODE_OPTIONS: heap, NODE_ENV: 'production' },
      encoding: 'utf8',
    });
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  const told = ait('--version');
  assert.equal(told.status, 0, told.stderr);
  assert.equal(told.stdout.trim(), version);
  const checked = ait('sidecar', '--config', config, '--check-config');
  assert.equal(checked.status, 0, checked.stderr + checked.stdout);
  const schema = ait('sidecar', '--config-schema');
  assert.equal(schema.status, 0, schema.stderr);
  assert.ok('properties' in (JSON.parse(schema.stdout) as object));
  // Really started: it gets as far as the credential that is not there, and says so.
  const started = ait('sidecar', '--config', config);
  assert.notEqual(started.status, 0);
  assert.doesNotMatch(started.stderr + started.stdout, /ERR_MODULE_NOT_FOUND|Cannot find/);
});

test('the example agents find what they import in the packages that are left for them', () => {
  const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { dependencies: object };
  assert.deepEqual(
    copiesOf('examples').map(({ from, target }) => [from, target]),
    [
      ['packages', '/opt/agents/node_modules/'],
      ['build', '/opt/agents/'],
    ],
  );
  for (const agent of ['planner', 'researcher']) {
    const program = readFileSync(join(root, `dist/examples/${agent}/${agent}.mjs`), 'utf8');
    const imported = [...program.matchAll(/^import .* from "([^".][^"]*)";$/gm)].map(([, name = '']) => name);
    const packages = imported.filter((name) => !name.startsWith('node:'));
    assert.ok(packages.length > 0, agent);
    for (const name of packages)
      assert.ok(name in dependencies, `${agent} imports ${name}, which no production install has`);
  }
});
