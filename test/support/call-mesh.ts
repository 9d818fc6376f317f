import { connect } from 'node:net';
import type { TestContext } from 'node:test';
import type { Grant } from '../../src/domain/grant-policy.ts';
import { readState } from './forged-state.ts';
import { ScriptedHttp2Server, type TakenStream } from './http2-exchange.ts';
import { startMesh, type AgentSpec, type TestMesh } from './mesh.ts';
import { pollUntil } from './poll-until.ts';
import { RawHttp2, type RawFields } from './raw-http2.ts';
import type { Enforcement, TestAgent } from './test-agent.ts';

type Section = Readonly<Record<string, object | string | boolean>>;

export interface CallMeshSpec {
  /** Patterns of the grant. Default: every call. */
  readonly calls?: readonly string[];
  /** More of the sidecars' configurations. */
  readonly planner?: Section;
  readonly researcher?: Section;
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
    const { calls, planner = {}, researcher = {}, half, agents = {} } = spec;
    const mesh = await startMesh(t, {
      agents: {
        planner: { calls: ['researcher'], config: planner },
        researcher: {
          app: false,
          config: { app: { address: server.address }, ...researcher },
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

  /** Changes what planner may call; returns when both sidecars know. `undefined`: every call; empty: nothing at all. */
  async grant(calls: readonly string[] | undefined): Promise<void> {
    const { mesh, planner, researcher } = this;
    const withdrawn = calls?.length === 0;
    const terms = withdrawn ? { state: 'withdrawn' } : calls !== undefined && { calls };
    const document = { kind: 'Grant', from: 'planner', to: ['researcher'], ...terms };
    await mesh.authority.writePolicy('grants/planner', document);
    const expected = calls?.map((pattern) => pattern.split(' ').at(-1));
    const isSo = (grants: readonly Grant[]) =>
      withdrawn
        ? grants.length === 0
        : grants.length === 1 && String(grants[0]?.calls?.map(({ path }) => path)) === String(expected);
    await Promise.all([planner, researcher].map((agent) => awaitGrants(agent, isSo)));
  }

  #answer(taken: TakenStream): void {
    this.taken.push(taken);
    const { stream } = taken;
    stream.on('trailers', (_headers, _flags, raw: string[]) => this.trailers.push(raw));
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

/** Until the state in force of a sidecar has such grants. */
export async function awaitGrants(agent: TestAgent, isSo: (grants: readonly Grant[]) => boolean): Promise<void> {
  const state = await pollUntil(
    // The file may not be there yet.
    () => readState(agent).catch(() => undefined),
    (kept) => kept !== undefined && isSo(kept.objects.flatMap((each) => (each.kind === 'grant' ? [each.value] : []))),
  );
  await agent.waitFor('state_applied', ({ revision }) => Number(revision) >= (state?.head.revision ?? 0));
}
