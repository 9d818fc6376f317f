import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { MeshError } from '../../domain/mesh-error.ts';
import type { Environment } from '../../platform/environment.ts';

/** The agents that the package brings along. */
export type ExampleAgent = 'planner' | 'researcher' | 'reviewer' | 'librarian';

/** The folder of the installed package: above the bundle as above the sources. */
function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  for (;;) {
    const file = join(folder, 'package.json');
    if (existsSync(file) && (JSON.parse(readFileSync(file, 'utf8')) as { name?: unknown }).name === 'ait-mesh')
      return folder;
    const above = dirname(folder);
    if (above === folder) throw new MeshError('FILE_UNREADABLE', 'the folder of the ait-mesh package was not found');
    folder = above;
  }
}

/** @throws MeshError `FILE_UNREADABLE` when the package came without its examples. */
export function examplesFolder(): string {
  const folder = join(packageRoot(), 'examples');
  if (existsSync(join(folder, 'proto/research.proto'))) return folder;
  throw new MeshError('FILE_UNREADABLE', `the example agents are not in ${folder}`, {
    hint: 'install the whole package, or name your own agents with `ait dev --file`',
  });
}

/** The program of an example agent, as the build made it from TypeScript: it runs with Node alone. */
export function exampleProgram(name: ExampleAgent | 'attacker'): string {
  return join(packageRoot(), 'dist/examples', name, `${name}.mjs`);
}

/** The very `ait` that runs now, as a command for children: bundle or sources, with Node's own options. */
export function aitCommand(...args: string[]): [string, ...string[]] {
  return [process.execPath, ...process.execArgv, process.argv[1] ?? '', ...args];
}

/** The same as a person would type it in this folder. */
export function aitAsTyped(): string {
  const entry = process.argv[1] ?? 'ait';
  if (basename(entry) === 'ait') return 'ait';
  const near = relative(process.cwd(), entry);
  return ['node', ...process.execArgv, near.startsWith('..') ? entry : near].join(' ');
}

/** Environment for a mesh process: variables that would override its configuration are left out. */
export function withoutOwnVariables(env: Environment): Record<string, string> {
  const entries = Object.entries(env).filter(([name, value]) => value !== undefined && !name.startsWith('AIT_'));
  return Object.fromEntries(entries) as Record<string, string>;
}
