/**
 * Runs the README. Every `sh` block stands under one of these comments, or the test fails:
 *
 * - `<!-- test: name -->`: run with `bash -e`, must exit with 0.
 * - `<!-- test: name (background, until "text") -->`: started, and awaited until it prints the text; stopped at the end.
 * - `<!-- test: name (then "text") -->`: run, then the text must come from the last one in the background;
 *   `(then in log of other "text")` names another.
 * - `<!-- not run: reason -->`
 *
 * Other blocks under `<!-- file: path -->` are written before anything runs. It all happens in a copy of the tree. Ports are
 * chosen by the system. `npm ci` is answered with the packages that are installed already; everything else is real.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { processState } from '../support/process-state.ts';

const root = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');
const DEADLINE_MS = 20_000;

interface Block {
  readonly language: string;
  readonly text: string;
  /** Line of the README, for the message. */
  readonly line: number;
  readonly mark: { readonly kind: string; readonly value: string } | undefined;
}

/** Fenced blocks with the comment that stands right before them, if one does. */
function blocksOf(markdown: string): Block[] {
  const lines = markdown.split('\n');
  const blocks: Block[] = [];
  for (let at = 0; at < lines.length; at += 1) {
    const language = /^```(\w*)$/.exec(lines[at] ?? '')?.[1];
    if (language === undefined) continue;
    const end = lines.indexOf('```', at + 1);
    const above = lines.slice(0, at).findLast((text) => text.trim() !== '') ?? '';
    const [, kind, value] = /^<!-- (test|not run|file): (.+) -->$/.exec(above) ?? [];
    const mark = kind === undefined || value === undefined ? undefined : { kind, value };
    blocks.push({ language, text: lines.slice(at + 1, end).join('\n'), line: at + 1, mark });
    at = end;
  }
  return blocks;
}

const readme = readFileSync(join(root, 'README.md'), 'utf8');
const blocks = blocksOf(readme);
const shells = blocks.filter(({ language }) => language === 'sh');

test('every shell block of the README is either run here or says why not', () => {
  assert.ok(shells.length > 5, 'the README has shell blocks');
  for (const { mark, line } of shells) {
    assert.ok(mark?.kind === 'test' || mark?.kind === 'not run', `README.md:${line} is neither run nor excused`);
  }
  const unmarked = blocks.filter(({ language }) => ['bash', 'shell', 'console'].includes(language));
  assert.deepEqual(unmarked, [], 'shell blocks are called sh');
});

test('links between the pages lead to files and headings that exist', () => {
  const folders = ['.', 'docs', 'docs/adr', 'docs/recipes', 'deploy', 'certs'];
  const pages = folders.flatMap((folder) =>
    readdirSync(join(root, folder))
      .filter((name) => name.endsWith('.md'))
      .map((name) => join(folder, name)),
  );
  for (const page of pages) {
    const text = readFileSync(join(root, page), 'utf8').replaceAll(/^```.*?^```$/gms, '');
    for (const [, target = ''] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (target.includes('://')) continue;
      const [path = '', anchor] = target.split('#', 2);
      const file = path === '' ? join(root, page) : join(root, dirname(page), path);
      assert.ok(existsSync(file), `${page} links to ${target}`);
      if (anchor !== undefined) assert.ok(anchorsOf(file).has(anchor), `${page} links to ${target}: no such heading`);
    }
  }
});

test('every runbook that an alert names is there', () => {
  const alerts = readFileSync(join(root, 'deploy/prometheus/alerts.yaml'), 'utf8');
  const runbooks = [...alerts.matchAll(/runbook: (\S+)#(\S+)/g)];
  assert.ok(runbooks.length > 5);
  for (const [, file = '', anchor = ''] of runbooks)
    assert.ok(anchorsOf(join(root, file)).has(anchor), `${file}#${anchor}`);
});

/** Anchors of a page's headings, as the usual hosts make them. */
function anchorsOf(file: string): ReadonlySet<string> {
  const text = readFileSync(file, 'utf8').replaceAll(/^```.*?^```$/gms, '');
  const headings = [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => heading.toLowerCase());
  return new Set(headings.map((heading) => heading.replaceAll(/[^\p{L}\p{N} _-]/gu, '').replaceAll(' ', '-')));
}

/** What one block printed so far, and a way to wait for more. */
class Running {
  readonly name: string;
  readonly child: ChildProcess;
  readonly exited: Promise<number | null>;
  output = '';
  #read = 0;

  constructor(name: string, script: string, options: { cwd: string; env: NodeJS.ProcessEnv }) {
    this.name = name;
    // A group of its own, so that all it starts can be ended with it.
    this.child = spawn('bash', ['-e', '-c', script], { ...options, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.output += text;
      });
    }
    this.exited = new Promise((resolve) => this.child.once('close', (code) => resolve(code)));
  }

  /** Waits for a text after the one that was found last. */
  async saw(text: string): Promise<void> {
    const until = performance.now() + DEADLINE_MS;
    for (;;) {
      const at = this.output.indexOf(text, this.#read);
      if (at >= 0) {
        this.#read = at + text.length;
        return;
      }
      const ended = this.child.exitCode !== null;
      if (ended || performance.now() > until) {
        const why = ended ? `ended with ${this.child.exitCode}` : `has not printed it within ${DEADLINE_MS} ms`;
        const state = processState(this.child.pid ?? 0);
        assert.fail(`${this.name} ${why}; expected: ${text}\n${state}\n${this.output.slice(-4000)}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async stop(): Promise<void> {
    this.#signal('SIGTERM');
    const timer = setTimeout(() => this.#signal('SIGKILL'), 8_000);
    await this.exited;
    clearTimeout(timer);
  }

  #signal(signal: NodeJS.Signals): void {
    try {
      process.kill(-(this.child.pid ?? 0), signal);
    } catch {
      // It has ended by itself.
    }
  }
}

/** A copy of the tree as it is, without what `npm ci` and builds make. */
function copyTree(target: string): void {
  const left = new Set(['node_modules', '.git', 'dist', '.ait', 'coverage']);
  cpSync(root, target, { recursive: true, filter: (source) => !left.has(relative(root, source)) });
}

test('the README does what it says', { timeout: 120_000 }, async (t) => {
  const base = mkdtempSync(join(tmpdir(), 'ait-readme-'));
  const folder = join(base, 'ait-mesh');
  const bin = join(base, 'bin');
  const background: Running[] = [];
  after(async () => {
    for (const running of background.toReversed()) await running.stop();
    rmSync(base, { recursive: true, force: true });
  });
  copyTree(folder);
  mkdirSync(bin);
  symlinkSync(join(folder, 'dist/ait.mjs'), join(bin, 'ait'));
  const npm = execFileSync('bash', ['-c', 'command -v npm'], { encoding: 'utf8' }).trim();
  const install = `ln -sfn '${join(root, 'node_modules')}' '${join(folder, 'node_modules')}'`;
  writeFileSync(join(bin, 'npm'), `#!/bin/sh\nif [ "$1" = ci ]; then ${install}; else exec '${npm}' "$@"; fi\n`, {
    mode: 0o755,
  });
  const sockets = join(base, 's');
  for (const { mark, text } of blocks) {
    if (mark?.kind !== 'file') continue;
    const path = join(folder, mark.value);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, `${text.replaceAll('/tmp/ait-readme', sockets)}\n`);
  }
  const env = {
    PATH: `${bin}:${dirname(process.execPath)}:${process.env['PATH'] ?? ''}`,
    HOME: process.env['HOME'] ?? base,
    NO_COLOR: '1',
    AIT_AUTHORITY_LISTEN: '127.0.0.1:0',
    AIT_AUTHORITY_OPERATORS_LISTEN: '127.0.0.1:0',
    AIT_AUTHORITY_METRICS_LISTEN: '127.0.0.1:0',
    AIT_SIDECAR_INBOUND__LISTEN: '127.0.0.1:0',
    AIT_SIDECAR_METRICS__LISTEN: '127.0.0.1:0',
  };
  let failed = false;
  for (const { mark, text, line } of shells) {
    if (mark?.kind !== 'test') continue;
    const [, name = '', rest = ''] = /^(\S+)(?: \((.+)\))?$/.exec(mark.value) ?? [];
    // Each block builds on those before it: after a failure the rest would only say so once more.
    await t.test(`README.md:${line} ${name}`, { skip: failed }, async () => {
      failed = true;
      const running = new Running(name, text, { cwd: folder, env });
      const until = /^background, until "(.+)"$/.exec(rest)?.[1];
      if (until !== undefined) {
        background.push(running);
        await running.saw(until);
        failed = false;
        return;
      }
      assert.equal(await running.exited, 0, `it failed:\n${running.output}`);
      const [, other, then] = /^then (?:in log of (\S+) )?"(.+)"$/.exec(rest) ?? [];
      assert.equal(rest === '', then === undefined, `the mark "${mark.value}" is not understood`);
      if (then !== undefined) {
        const log = other === undefined ? background.at(-1) : background.find((one) => one.name === other);
        assert.ok(log !== undefined, 'nothing runs in the background');
        await log.saw(then);
      }
      failed = false;
    });
  }
});
