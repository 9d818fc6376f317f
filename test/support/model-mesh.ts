import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { startMesh, type AgentSpec, type TestMesh } from './mesh.ts';
import { ModelServer } from './model-server.ts';
import { ModelService } from './model-service.ts';
import type { TestAgent } from './test-agent.ts';

interface PlannerSpec extends AgentSpec {
  /** More members of the section `inference`. */
  readonly inference?: Readonly<Record<string, unknown>>;
  /** Further agents of the mesh. */
  readonly others?: Readonly<Record<string, AgentSpec>>;
}

/** A planner whose calls go to an OpenAI-compatible server in the test's process, without TLS. */
export async function plannerWithProvider(
  t: TestContext,
  spec: PlannerSpec = {},
): Promise<{ readonly mesh: TestMesh; readonly planner: TestAgent; readonly model: ModelServer }> {
  const model = await ModelServer.start(t);
  const { inference = {}, others = {}, ...planner } = spec;
  const section = {
    listen: `unix:${join(await temporaryFolder(t), 'model.sock')}`,
    provider: { insecure_base_url: model.baseUrl },
    ...inference,
  };
  const config = { ...planner.config, inference: section };
  const mesh = await startMesh(t, { agents: { planner: { ...planner, config }, ...others } });
  return { mesh, planner: mesh.agent('planner'), model };
}

/** A planner whose calls go to an inference service in the test's process; it is approved unless the test says else. */
export async function plannerWithService(
  t: TestContext,
  spec: PlannerSpec & { readonly policy?: object; readonly prepare?: (service: ModelService) => void } = {},
): Promise<{ readonly mesh: TestMesh; readonly planner: TestAgent; readonly service: ModelService }> {
  const { inference = {}, others = {}, policy = {}, prepare, ...planner } = spec;
  const mesh = await startMesh(t, { agents: { planner: { ...planner, start: false }, ...others } });
  const service = await ModelService.start(t, mesh);
  prepare?.(service);
  await mesh.authority.writePolicy('inference/default', service.policy(['planner'], policy));
  const agent = mesh.agent('planner');
  agent.config['inference'] = {
    listen: `unix:${join(await temporaryFolder(t), 'model.sock')}`,
    service: { address: service.address },
    ...inference,
  };
  await agent.start({ awaitReady: false });
  await agent.waitFor('sidecar_mesh_ready', () => true, { deadlineMs: 30_000 });
  return { mesh, planner: agent, service };
}

/** The path of a unix socket has at most 107 bytes: nearer to the root than a mesh's own folder. */
async function temporaryFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'ait-model-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}
