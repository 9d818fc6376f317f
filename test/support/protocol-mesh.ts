import { writeFile } from 'node:fs/promises';
import type { TestContext } from 'node:test';
import { awaitAddress, startMesh, type TestMesh } from './mesh.ts';
import type { TestAgent } from './test-agent.ts';

type Section = Readonly<Record<string, object | string | boolean>>;

export interface ProtocolMeshSpec {
  /** Where researcher listens: `host:port`. */
  readonly address: string;
  /** Researcher's tool manifest. Default: that of any test agent. */
  readonly manifest?: string;
  /** More of the sidecars' configurations. */
  readonly planner?: Section;
  readonly researcher?: Section;
  /** More of planner's entry for researcher under `peers`. */
  readonly peer?: object;
  /** More of researcher's `kind: Agent`. */
  readonly record?: object;
}

/** planner calls researcher, which speaks HTTP/1.1, at a loopback port: two sidecars, each a process of its own. */
export class ProtocolMesh {
  readonly mesh: TestMesh;

  private constructor(mesh: TestMesh) {
    this.mesh = mesh;
  }

  static async start(t: TestContext, spec: ProtocolMeshSpec): Promise<ProtocolMesh> {
    const { address, manifest, planner = {}, researcher = {}, peer = {}, record = {} } = spec;
    const mesh = await startMesh(t, {
      agents: {
        planner: {
          calls: ['researcher'],
          config: planner,
          peers: { researcher: { listen: '127.0.0.1:0', ...peer } },
        },
        researcher: {
          app: false,
          start: false,
          record,
          config: { ...researcher, app: { address, ...appOf(researcher) } },
        },
      },
    });
    const world = new ProtocolMesh(mesh);
    if (manifest !== undefined) await world.approveTools(manifest, 'researcher-mcp');
    await world.researcher.start();
    await awaitAddress(world.planner, world.researcher.inbound);
    return world;
  }

  get planner(): TestAgent {
    return this.mesh.agent('planner');
  }

  get researcher(): TestAgent {
    return this.mesh.agent('researcher');
  }

  /** Where planner's agent calls researcher: `host:port`. */
  get at(): string {
    const { peers } = this.planner.addresses as unknown as { readonly peers: readonly { readonly listen: string }[] };
    return peers[0]?.listen ?? '';
  }

  /** Has researcher measured with these tools, and approved so. */
  async approveTools(manifest: string, id: string): Promise<void> {
    const { files } = this.researcher;
    await writeFile(files.tools, manifest);
    await this.mesh.approve('researcher', { id, files });
  }
}

function appOf(section: Section): object {
  const { app } = section;
  return typeof app === 'object' ? app : {};
}
