import { request, type IncomingHttpHeaders } from 'node:http';
import type { TestContext } from 'node:test';
import { changeGrant } from './call-mesh.ts';
import { startMesh, type TestMesh } from './mesh.ts';
import { RawHttp1, RawHttp1Server } from './raw-http1.ts';
import type { Enforcement, TestAgent } from './test-agent.ts';

type Section = Readonly<Record<string, object | string | boolean>>;

export interface Http1MeshSpec {
  /** Patterns of the grant. Default: every call. */
  readonly calls?: readonly string[];
  /** More of the sidecars' configurations. */
  readonly planner?: Section;
  readonly researcher?: Section;
  /** What the sidecar of `researcher` leaves out. */
  readonly half?: Enforcement;
}

export interface PlainAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/**
 * `planner` calls `researcher`, which speaks HTTP/1.1: two sidecars, each a process of its own, and a server in the test's
 * process that reads what comes strictly, and answers as a test says.
 */
export class Http1Mesh {
  readonly mesh: TestMesh;
  readonly server: RawHttp1Server;

  constructor(mesh: TestMesh, server: RawHttp1Server) {
    this.mesh = mesh;
    this.server = server;
  }

  static async start(t: TestContext, spec: Http1MeshSpec = {}): Promise<Http1Mesh> {
    const server = await RawHttp1Server.start(t);
    const { calls, planner = {}, researcher = {}, half } = spec;
    const mesh = await startMesh(t, {
      agents: {
        planner: { calls: ['researcher'], config: planner },
        researcher: {
          app: false,
          config: { app: { address: server.address }, ...researcher },
          ...(half !== undefined && { enforcement: half }),
        },
      },
    });
    const world = new Http1Mesh(mesh, server);
    if (calls !== undefined) await world.grant(calls);
    return world;
  }

  get planner(): TestAgent {
    return this.mesh.agent('planner');
  }

  get researcher(): TestAgent {
    return this.mesh.agent('researcher');
  }

  /** A connection of planner's agent to researcher. */
  connect(): RawHttp1 {
    return new RawHttp1({ path: this.planner.socketTo('researcher') });
  }

  /** One request by Node's own client, on a connection of its own. */
  call(path: string, { method = 'GET', headers = {}, body = '' } = {}): Promise<PlainAnswer> {
    return new Promise((resolve, reject) => {
      const socketPath = this.planner.socketTo('researcher');
      const call = request({ socketPath, path, method, headers, agent: false }, (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', reject);
        answer.on('end', () => {
          const { statusCode: status = 0, headers: answered } = answer;
          resolve({ status, headers: answered, body: Buffer.concat(chunks).toString() });
        });
      });
      call.on('error', reject);
      call.end(body);
    });
  }

  /** As {@link changeGrant}, for both. */
  async grant(calls: readonly string[] | undefined): Promise<void> {
    await changeGrant(this.mesh, calls, [this.planner, this.researcher]);
  }
}
