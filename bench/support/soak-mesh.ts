import { join } from 'node:path';
import { AgentFiles } from '../../test/support/agent-files.ts';
import { TestMesh } from '../../test/support/mesh.ts';
import { Pod, type CallingKind } from '../../test/support/pod.ts';
import { pollUntil } from '../../test/support/poll-until.ts';
import { TestAuthority } from '../../test/support/test-authority.ts';
import { temporaryFolder } from './children.ts';

const AGENTS = 5;
const EVERY_MS = 100;
const AUTHORITY = { svid_lifetime: '10s', outage_tolerance: '2m' };
const DRAIN = '5s';
/** For every restart there may be; and the authority gives no notice that it ends within a week. */
const CREDENTIAL = { uses: 10_000, expires: '30d' };
/** For everybody to be able to call again, ms. */
const RECOVERY_MS = 60_000;

/** Agent 0 speaks gRPC, and so on by turns. */
const speaksGrpc = (agent: string): boolean => Number(agent.slice('agent-'.length)) % 2 === 0;

function kindsFor(callee: string): readonly CallingKind[] {
  return speaksGrpc(callee) ? ['grpc'] : ['connection', 'stream'];
}

/** Five agents with two instances each, every one a pod; each calls two others. */
export class SoakMesh {
  readonly mesh: TestMesh;
  readonly pods: Pod[] = [];
  readonly #agentOf = new Map<Pod, string>();

  private constructor(mesh: TestMesh) {
    this.mesh = mesh;
  }

  static async start(): Promise<SoakMesh> {
    const folder = temporaryFolder();
    const mesh = new TestMesh(folder, new TestAuthority(join(folder, 'authority'), AUTHORITY));
    const soak = new SoakMesh(mesh);
    const names = Array.from({ length: AGENTS }, (_, index) => `agent-${index}`);
    for (const name of names) await mesh.register(name, { calls: soak.calleesOf(name) });
    await mesh.authority.start();
    for (const name of names) for (const copy of ['a', 'b']) await soak.#add(name, `${name}-${copy}`);
    for (const pod of soak.pods) await pod.start();
    await Promise.all(soak.pods.map((pod) => pod.beginCalls()));
    return soak;
  }

  calleesOf(agent: string): readonly string[] {
    const index = Number(agent.slice('agent-'.length));
    return [1, 2].map((step) => `agent-${(index + step) % AGENTS}`);
  }

  agentOf(pod: Pod): string {
    return this.#agentOf.get(pod) ?? '';
  }

  /** Resolves when every caller has got an answer to a call that began after now. @throws Error with who has not */
  async everybodyCalls(): Promise<void> {
    const callers = this.pods.flatMap((pod) => pod.calling);
    // The call that is under way may have begun before.
    const before = new Map(callers.map((caller) => [caller, caller.succeeded + 1]));
    await pollUntil(
      () => callers.filter((caller) => caller.succeeded <= (before.get(caller) ?? 0)).map(({ route }) => route),
      (waiting) => waiting.length === 0,
      { deadlineMs: RECOVERY_MS },
    );
  }

  async end(): Promise<void> {
    await Promise.all(this.pods.map((pod) => pod.end()));
    await this.mesh.end();
  }

  async #add(agent: string, name: string): Promise<void> {
    const files = new AgentFiles(join(this.mesh.folder, `${name}-files`));
    await files.create(agent);
    const calls = this.calleesOf(agent);
    const spec = { calls, start: false, config: { timing: { drain: DRAIN } }, credential: CREDENTIAL };
    const instance = await this.mesh.addInstance(name, { agent, files, spec });
    const pod = new Pod(instance, {
      speaks: speaksGrpc(agent) ? 'grpc' : 'bytes',
      everyMs: EVERY_MS,
      calls: calls.flatMap((callee) => kindsFor(callee).map((kind) => ({ callee, kind }))),
    });
    this.#agentOf.set(pod, agent);
    this.pods.push(pod);
  }
}
