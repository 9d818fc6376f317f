import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { startMesh } from '../support/mesh.ts';
import { pollUntil } from '../support/poll-until.ts';
import { Pod } from '../support/pod.ts';
import { describeFailures } from '../support/steady-calls.ts';

/** Each with two instances: a sidecar process of its own and an agent. */
const AGENTS = 10;

const nameOf = (index: number): string => `agent-${index % AGENTS}`;
const calleesOf = (index: number): readonly string[] => [nameOf(index + 1), nameOf(index + 3)];
/** Half of the agents keep a gRPC channel, half take a connection for each call. */
const speaksGrpc = (agent: string): boolean => Number(agent.slice('agent-'.length)) % 2 === 0;

async function startPods(t: TestContext): Promise<readonly Pod[]> {
  const names = Array.from({ length: AGENTS }, (_, index) => nameOf(index));
  const specOf = (index: number) => {
    return { calls: calleesOf(index), app: false, start: false, config: { timing: { drain: '3s' } } } as const;
  };
  const mesh = await startMesh(t, { agents: Object.fromEntries(names.map((name, index) => [name, specOf(index)])) });
  const instances = await Promise.all(
    names.map(async (name, index) => {
      const first = mesh.agent(name);
      const second = await mesh.addInstance(`${name}-b`, { agent: name, files: first.files, spec: specOf(index) });
      const calls = calleesOf(index).map((callee) => {
        return { callee, kind: speaksGrpc(callee) ? ('grpc' as const) : ('connection' as const) };
      });
      const speaks = speaksGrpc(name) ? ('grpc' as const) : ('bytes' as const);
      return [first, second].map((agent) => new Pod(agent, { speaks, calls, everyMs: 150 }));
    }),
  );
  const pods = instances.flat();
  t.after(() => Promise.all(pods.map((pod) => pod.end())));
  // A few at a time: a machine with two cores that starts twenty processes at once is late with every one of them.
  const queue = [...pods];
  await Promise.all(
    Array.from({ length: 4 }, async () => {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) await next.start();
    }),
  );
  return pods;
}

test('twenty sidecars are restarted one after the other under steady calls: no call fails', async (t) => {
  const startedAt = performance.now();
  const pods = await startPods(t);
  await Promise.all(pods.map((pod) => pod.beginCalls()));
  t.diagnostic(`${pods.length} sidecars and their calls are up after ${Math.round(performance.now() - startedAt)} ms`);
  for (const pod of pods) {
    assert.equal(await pod.stop(), 0, pod.agent.sidecar.tail());
    await pod.start();
    await pod.beginCalls();
  }
  const callers = pods.flatMap((pod) => pod.callers);
  // The last pod has only just begun again.
  await pollUntil(
    () => callers.filter(({ succeeded }) => succeeded === 0).map(({ route }) => `${route.from} to ${route.to}`),
    (silent) => silent.length === 0,
  );
  t.diagnostic(`all restarted after ${Math.round(performance.now() - startedAt)} ms`);
  t.diagnostic(describeFailures(callers));
  assert.deepEqual(
    callers.flatMap(({ failed }) => failed),
    [],
    describeFailures(callers),
  );
});
