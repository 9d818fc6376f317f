import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Child, freePort, listening } from './support/children.ts';
import { BenchMesh, peerListen, sidecarCommand } from './support/mesh.ts';
import { readOptions } from './support/options.ts';
import { a2aCaller, mcpCaller, type SdkCaller } from './support/sdk-callers.ts';
import { median, percentile, report, rounded } from './support/statistics.ts';

const WHAT = `What two sidecars add to a call that an official SDK makes: @modelcontextprotocol/sdk calls a tool, @a2a-js/sdk sends a
message, each to the server of the recipe (examples/recipes), a process of its own. One call straight, one through two
sidecars, in turn, so that what disturbs the one disturbs the other; connections and sessions are open before.`;

const options = readOptions({
  name: 'sdk',
  what: WHAT,
  numbers: {
    calls: { byDefault: 1000, text: 'calls of each kind, each way' },
    'warm-up': { byDefault: 200, text: 'calls of each kind, each way, before' },
  },
  parts: { mcp: 'MCP, streamable HTTP', jsonrpc: 'A2A, JSON-RPC', rest: 'A2A, HTTP+JSON' },
});

type Part = (typeof options.only)[number];
const KINDS: Readonly<
  Record<Part, { readonly server: string; readonly open: (origin: string) => Promise<SdkCaller> }>
> = {
  mcp: { server: 'mcp', open: mcpCaller },
  jsonrpc: { server: 'a2a', open: (origin) => a2aCaller(origin, 'JSONRPC') },
  rest: { server: 'a2a', open: (origin) => a2aCaller(origin, 'HTTP+JSON') },
};
const RECIPES = join(dirname(dirname(fileURLToPath(import.meta.url))), 'examples/recipes');

const mesh = new BenchMesh();
await mesh.start(['caller', 'callee'], { caller: ['callee'] });
const rows = [];
const targets = [];
for (const part of options.only) {
  const { direct, through } = await measure(part);
  const added = median(through) - median(direct);
  rows.push({
    call: part,
    'straight, ms': median(direct),
    'p99, ms': percentile(direct, 0.99),
    'through two sidecars, ms': median(through),
    'p99 through, ms': percentile(through, 0.99),
    'added, ms': added,
    ratio: median(through) / median(direct),
    calls: through.length,
  });
  targets.push({ claim: `${part}: added to a call, ms, median`, measured: rounded(added), limit: 1.5 });
}
await mesh.stop();
report({ name: 'sdk', rows, targets, notes: ['client, sidecars and server share the cores of this machine'] }, options);
process.exit();

/** The times of each way, ms, of one pair of sidecars that are there for this kind of call alone. */
async function measure(part: Part): Promise<{ direct: number[]; through: number[] }> {
  const { server, open } = KINDS[part];
  const port = await freePort();
  const address = `127.0.0.1:${port}`;
  const app = new Child([process.execPath, join(RECIPES, server, 'server.mjs')], mesh.folder, { LISTEN: address });
  await listening(port);
  const callee = new Child(
    sidecarCommand(mesh.sidecarConfig('callee', { app: { address } }, `callee-${part}`)),
    mesh.folder,
  );
  const { inbound } = await callee.event('sidecar_ready');
  const peers = [{ agent: 'callee', listen: '127.0.0.1:0', address: inbound }];
  const caller = new Child(sidecarCommand(mesh.sidecarConfig('caller', { peers }, `caller-${part}`)), mesh.folder);
  const ready = await caller.event('sidecar_ready');
  const ways = {
    direct: { caller: await open(`http://${address}`), times: [] as number[] },
    through: { caller: await open(`http://${peerListen(ready, 'callee')}`), times: [] as number[] },
  };
  for (let call = -options['warm-up']; call < options.calls; call += 1) {
    for (const way of [ways.direct, ways.through]) {
      const startedAt = performance.now();
      const answer = await way.caller.call();
      const ms = performance.now() - startedAt;
      if (!answer.startsWith('A sponsor does')) throw new Error(`${part} was answered: ${answer}`);
      if (call >= 0) way.times.push(ms);
    }
  }
  await Promise.all([ways.direct.caller.close(), ways.through.caller.close()]);
  await Promise.all([caller.stop(), callee.stop(), app.stop()]);
  return { direct: ways.direct.times, through: ways.through.times };
}
