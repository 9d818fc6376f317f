import { connect } from 'node:net';
import type { TestContext } from 'node:test';
import { ScriptedHttp2Server, type TakenStream } from './http2-exchange.ts';
import { startMesh, type AgentSpec, type TestMesh } from './mesh.ts';
import { RawHttp2, type RawFields } from './raw-http2.ts';
import type { Enforcement, TestAgent } from './test-agent.ts';

type Section = Readonly<Record<string, object | string | boolean>>;

export interface CallMeshSpec {
  /** Patterns of the grant. Default: every call. */
  readonly calls?: readonly string[];
  /** More of the sidecars' configurations. */
  readonly planner?: Section;
  readonly researcher?: Section;
  /** More of planner's entry for researcher under `peers`. */
  readonly peer?: object;
  /** More of the section `app` of researcher. */
  readonly app?: object;
  /** What the sidecar of `researcher` leaves out. */
  readonly half?: Enforcement;
  /** More agents. */
  readonly agents?: Readonly<Record<string, AgentSpec>>;
}

/**
 * `planner` calls `researcher`, which speaks HTTP/2: two sidecars, each a process of its own, and a server in the test's
 * process that answers every call at once and remembers what it was sent.
 */
export class CallMesh {
  readonly mesh: TestMesh;
  readonly server: ScriptedHttp2Server;
  /** Every call that reached the server. */
  readonly taken: TakenStream[] = [];
  /** Trailers of requests, as name and value in turns. */
  readonly trailers: string[][] = [];

  constructor(mesh: TestMesh, server: ScriptedHttp2Server) {
    this.mesh = mesh;
    this.server = server;
  }

  static async start(t: TestContext, spec: CallMeshSpec = {}): Promise<CallMesh> {
    const server = await ScriptedHttp2Server.start(t);
    const { calls, planner = {}, researcher = {}, peer = {}, app = {}, half, agents = {} } = spec;
    const mesh = await startMesh(t, {
      agents: {
        planner: { calls: ['researcher'], config: planner, peers: { researcher: peer } },
        researcher: {
          app: false,
          config: { app: { address: server.address, ...app }, ...researcher },
          ...(half !== undefined && { enforcement: half }),
        },
        ...agents,
      },
    });
    const world = new CallMesh(mesh, server);
    server.onStream = (taken) => world.#answer(taken);
    if (calls !== undefined) await world.grant(calls);
    return world;
  }

  get planner(): TestAgent {
    return this.mesh.agent('planner');
  }

  get researcher(): TestAgent {
    return this.mesh.agent('researcher');
  }

  /** A connection of planner's agent to researcher, HTTP/2 begun. */
  connect(settings: readonly (readonly [number, number])[] = []): RawHttp2 {
    return new RawHttp2(connect({ path: this.planner.socketTo('researcher') })).begin(settings);
  }

  /** One call on a connection of its own. */
  async call(fields: RawFields) {
    const connection = this.connect();
    try {
      return await connection.call(1, fields);
    } finally {
      connection.socket.destroy();
    }
  }

  /** As {@link changeGrant}, for both. */
  async grant(calls: readonly string[] | undefined): Promise<void> {
    await changeGrant(this.mesh, calls, [this.planner, this.researcher]);
  }

  #answer(taken: TakenStream): void {
    this.taken.push(taken);
    const { stream } = taken;
    stream.on('trailers', (_headers: object, _flags: number, raw: string[]) => this.trailers.push(raw));
    stream.resume();
    const isGrpc = String(taken.headers['content-type']).startsWith('application/grpc');
    if (!isGrpc) {
      stream.respond({ ':status': 200 });
      stream.end('answered');
      return;
    }
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.once('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.end(Buffer.from([0, 0, 0, 0, 0]));
  }
}

/**
 * Changes what planner may call at researcher, to something else than before; returns when these sidecars know. What they
 * keep on disk comes later, and may be held up by it.
 *
 * @param calls `undefined`: every call; empty: nothing at all
 */
export async function changeGrant(
  mesh: TestMesh,
  calls: readonly string[] | undefined,
  told: readonly TestAgent[],
): Promise<void> {
  const terms = calls?.length === 0 ? { state: 'withdrawn' } : calls !== undefined && { calls };
  const since = told.map((agent) => ({ agent, from: agent.sidecar.mark() }));
  await mesh.authority.writePolicy('grants/planner', { kind: 'Grant', from: 'planner', to: ['researcher'], ...terms });
  await Promise.all(since.map(({ agent, from }) => agent.waitFor('state_applied', () => true, { from })));
}
