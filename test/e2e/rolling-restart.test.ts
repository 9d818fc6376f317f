import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { GrpcApp } from '../support/grpc-app.ts';
import { startMesh, type TestMesh } from '../support/mesh.ts';
import { connectionPerCall, describeFailures, grpcCalling, SteadyCalls } from '../support/steady-calls.ts';
import type { TestAgent } from '../support/test-agent.ts';
import { TestApp } from '../support/test-app.ts';

/** Each with two instances: a sidecar process of its own and an agent. */
const AGENTS = 10;
const READY = { deadlineMs: 60_000 };
const EVERY_MS = 150;

const nameOf = (index: number): string => `agent-${index % AGENTS}`;
const calleesOf = (index: number): readonly string[] => [nameOf(index + 1), nameOf(index + 3)];
/** Half of the agents keep a gRPC channel, half take a connection for each call. */
const speaksGrpc = (agent: string): boolean => Number(agent.slice('agent-'.length)) % 2 === 0;

/** One instance: the sidecar, and the agent that answers and calls. */
class Pod {
  readonly agent: TestAgent;
  readonly #callees: readonly string[];
  readonly #grpc: boolean;
  readonly all: SteadyCalls[] = [];
  #app: TestApp | GrpcApp | undefined;
  #calling: readonly SteadyCalls[] = [];

  constructor(agent: TestAgent, { callees, grpc }: { callees: readonly string[]; grpc: boolean }) {
    this.agent = agent;
    this.#callees = callees;
    this.#grpc = grpc;
  }

  async start(): Promise<void> {
    this.#app = await (this.#grpc ? GrpcApp.start() : TestApp.start());
    this.agent.config['app'] = { address: this.#app.address };
    await this.agent.start({ awaitReady: false });
    await this.agent.waitFor('sidecar_ready', () => true, READY);
  }

  async beginCalls(): Promise<void> {
    this.#calling = await Promise.all(
      this.#callees.map((callee) => {
        const path = this.agent.socketTo(callee);
        const calling = speaksGrpc(callee) ? grpcCalling(path) : connectionPerCall(path);
        return SteadyCalls.begin(`${this.agent.name} to ${callee}`, calling, { everyMs: EVERY_MS });
      }),
    );
    this.all.push(...this.#calling);
  }

  /** As when a pod is taken down: the agent calls nobody any more, but answers until its sidecar has gone. */
  async stop(): Promise<void> {
    await Promise.all(this.#calling.map((calls) => calls.stop()));
    this.#calling = [];
    assert.equal(await this.agent.sidecar.stop(30_000), 0, this.agent.sidecar.tail());
    await this.#app?.stop();
  }

  /** Whatever came of the test. */
  async end(): Promise<void> {
    await Promise.all(this.#calling.map((calls) => calls.stop()));
    await this.#app?.stop();
  }
}

async function startPods(t: TestContext): Promise<{ mesh: TestMesh; pods: readonly Pod[] }> {
  const names = Array.from({ length: AGENTS }, (_, index) => nameOf(index));
  const specOf = (index: number) => {
    return { calls: calleesOf(index), app: false, start: false, config: { timing: { drain: '3s' } } } as const;
  };
  const mesh = await startMesh(t, { agents: Object.fromEntries(names.map((name, index) => [name, specOf(index)])) });
  const agents = await Promise.all(
    names.map(async (name, index) => {
      const first = mesh.agent(name);
      const second = await mesh.addInstance(`${name}-b`, { agent: name, files: first.files, spec: specOf(index) });
      return [first, second].map((agent) => new Pod(agent, { callees: calleesOf(index), grpc: speaksGrpc(name) }));
    }),
  );
  const pods = agents.flat();
  t.after(() => Promise.all(pods.map((pod) => pod.end())));
  // A few at a time: a machine with two cores that starts twenty processes at once is late with every one of them.
  const queue = [...pods];
  await Promise.all(
    Array.from({ length: 4 }, async () => {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) await next.start();
    }),
  );
  return { mesh, pods };
}

test('twenty sidecars are restarted one after the other under steady calls: no call fails', async (t) => {
  const startedAt = performance.now();
  const { pods } = await startPods(t);
  await Promise.all(pods.map((pod) => pod.beginCalls()));
  t.diagnostic(`${pods.length} sidecars and their calls are up after ${Math.round(performance.now() - startedAt)} ms`);
  for (const pod of pods) {
    await pod.stop();
    await pod.start();
    await pod.beginCalls();
  }
  const callers = pods.flatMap((pod) => pod.all);
  t.diagnostic(`all restarted after ${Math.round(performance.now() - startedAt)} ms`);
  t.diagnostic(describeFailures(callers));
  assert.deepEqual(
    callers.flatMap(({ failed }) => failed),
    [],
    describeFailures(callers),
  );
  for (const { caller, succeeded } of callers) assert.ok(succeeded > 0, `${caller} made no call`);
});
