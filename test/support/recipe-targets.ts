import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import type { TestContext } from 'node:test';
import { RecipeMesh, startRecipe } from './recipe.ts';

const PAGE = new URL('../../docs/recipes/grpc-targets.md', import.meta.url);
/** What stands in the page for a socket and for a port. */
const [SOCKET, PORT] = ['/run/ait/p/r.sock', '127.0.0.1:17001'] as const;

/**
 * Tries each spelling in the table of `docs/recipes/grpc-targets.md`, through two sidecars: it works where the column says
 * yes, and fails where it says no.
 */
export async function tryTargets(
  t: TestContext,
  { column, program }: { readonly column: string; readonly program: string },
): Promise<void> {
  const rows = await readTable(column);
  assert.ok(rows.some(({ works }) => works) && rows.some(({ works }) => !works), 'the table has both');
  const mesh = await RecipeMesh.start(t, { server: 'grpc-js/server.mjs', unix: true, intervalMs: '1' });
  const socket = mesh.target.replace('unix:', '');
  for (const { spelling, works } of rows) {
    await t.test(`${spelling}: ${works ? 'yes' : 'no'}`, async (t) => {
      // `unix://path` names the path without its first slash.
      const target = spelling
        .replace(SOCKET, socket)
        .replace(SOCKET.slice(1), socket.slice(1))
        .replace(PORT, mesh.outbound);
      const authority = target.startsWith('unix') ? {} : { AUTHORITY: 'researcher.mesh' };
      const client = startRecipe(t, program, { RESEARCHER: target, ...authority });
      const code = await client.exited;
      assert.equal(code, works ? 0 : 1, client.output);
      if (works) assert.match(client.output, /^A sponsor does, planner\.\n/);
    });
  }
}

async function readTable(column: string): Promise<readonly { readonly spelling: string; readonly works: boolean }[]> {
  const lines = (await readFile(PAGE, 'utf8')).split('\n').map((line) => line.split('|').map((cell) => cell.trim()));
  const head = lines.findIndex(([, first]) => first === 'target');
  const at = lines[head]?.findIndex((cell) => cell.startsWith(column)) ?? -1;
  assert.ok(at > 0, `no column ${column}`);
  const end = lines.findIndex((cells, index) => index > head && cells.length === 1);
  return lines.slice(head + 2, end).map((cells) => ({
    spelling: (cells[1] ?? '').replaceAll('`', ''),
    works: cells[at] === 'yes',
  }));
}
