import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { parseSpiffeId, resolveAgentId, trustDomainOf } from '../../domain/agent-id.ts';
import { MeshError } from '../../domain/mesh-error.ts';
import type { Environment } from '../../platform/environment.ts';
import { meshName, meshNameOf } from '../../sidecar/calls/mesh-names.ts';
import { findAdminSockets } from '../explain/find-sockets.ts';
import { readAdmin } from '../mesh-runner/admin-client.ts';
import { peerName, peerVariable } from '../run/agent-environment.ts';
import { adminSocketOf } from '../sidecar/sidecar-target.ts';
import type { ProbeFailure } from './probe-place.ts';
import type { ConfigView, SidecarView } from './sidecar-view.ts';
import type { Ways } from './ways.ts';

export interface SubjectFlags {
  readonly admin?: string;
  readonly config?: string;
  /** Process whose environment is looked at instead of our own. */
  readonly pid?: string;
}

/** What is checked, and where what we know of it comes from. */
export interface Subject {
  /** `undefined`: only an agent's environment is known. */
  readonly socket: string | undefined;
  readonly sidecar:
    | { readonly ok: true; readonly view: SidecarView; readonly config: ConfigView }
    | { readonly ok: false; readonly failure: ProbeFailure }
    | undefined;
  readonly ways: Ways;
  /** The agent's, as far as it is known. */
  readonly env: Environment;
}

/**
 * Finds out what is to be checked: by a sidecar's admin socket where one is named or found, else by the variables that
 * `ait run` sets for an agent.
 *
 * @throws MeshError `CONFIG_INVALID` where there is neither, or several
 */
export async function findSubject(flags: SubjectFlags, environment: Environment): Promise<Subject> {
  const env = flags.pid === undefined ? environment : await environmentOf(flags.pid);
  const socket = await findSocket(flags, env);
  if (socket === undefined) return { socket, sidecar: undefined, ways: waysFromVariables(env), env };
  try {
    const view = (await readAdmin(socket, '/status')) as SidecarView;
    if (!Array.isArray(view.addresses?.peers)) {
      throw new MeshError('CONFIG_INVALID', `${socket} is not the admin socket of a sidecar of this version`, {
        hint: HINT,
      });
    }
    const config = (await readAdmin(socket, '/config')) as ConfigView;
    return { socket, sidecar: { ok: true, view, config }, ways: waysFromSidecar(view, config), env };
  } catch (error) {
    const { code, message: detail } = error as NodeJS.ErrnoException;
    if (error instanceof MeshError) throw error;
    return { socket, sidecar: { ok: false, failure: { code: code ?? '', detail } }, ways: waysFromVariables(env), env };
  }
}

const HINT =
  'name the sidecar with --admin <socket> or --config <file>, or run this as the agent: ait run agent.yaml -- ait check';
const DEFAULT_CONFIG = 'sidecar.yaml';

async function findSocket({ admin, config }: SubjectFlags, env: Environment): Promise<string | undefined> {
  if (admin !== undefined || config !== undefined) {
    return adminSocketOf({ ...(admin !== undefined && { admin }), ...(config !== undefined && { config }) });
  }
  const named = env['AIT_ADMIN'] ?? '';
  if (named !== '') return resolve(named);
  if (hasVariables(env)) return undefined;
  if (existsSync(DEFAULT_CONFIG)) return adminSocketOf({});
  const sockets = await sidecarsBelow('.ait');
  const [only, ...more] = sockets;
  if (more.length > 0) {
    throw new MeshError(
      'CONFIG_INVALID',
      `several sidecars are here:\n${sockets.map((each) => `  ${each}`).join('\n')}`,
      {
        hint: 'name one of them with --admin',
      },
    );
  }
  if (only === undefined) throw new MeshError('CONFIG_INVALID', 'there is nothing here to check', { hint: HINT });
  return only;
}

/** The authority has an admin socket, too. */
async function sidecarsBelow(folder: string): Promise<readonly string[]> {
  const sockets = findAdminSockets(folder);
  const answers = await Promise.all(
    sockets.map(async (socket) => {
      try {
        return typeof ((await readAdmin(socket, '/status')) as Partial<SidecarView>).agent === 'string';
      } catch {
        // Left behind by one that is gone, or not for us to ask.
        return false;
      }
    }),
  );
  return sockets.filter((_, index) => answers[index] === true);
}

function waysFromSidecar({ agent, addresses }: SidecarView, { app, peers }: ConfigView): Ways {
  const listens = new Map(addresses.peers.map(({ agent: peer, listen }) => [String(peer), listen]));
  const domain = trustDomainOf(parseSpiffeId(agent));
  return {
    peers: peers.map(({ agent: named }) => {
      const id = resolveAgentId(domain, named);
      return { peer: peerName(id), meshName: meshName(id), at: listens.get(id) };
    }),
    common: addresses.outbound,
    inference: addresses.inference,
    app: app && { address: app.address, allowReachable: app.allow_reachable },
  };
}

/** The variables by which `ait run` tells an agent where everything is. */
function waysFromVariables(env: Environment): Ways {
  const names = (env['AIT_PEERS'] ?? '').split(',').filter((name) => name !== '');
  const { LISTEN: listen, AIT_OUTBOUND: common, AIT_INFERENCE: inference } = env;
  return {
    peers: names.map((peer) => ({ peer, meshName: meshNameOf(peer), at: env[peerVariable(peer)] })),
    common,
    inference,
    // What the sidecar permits is not known here: it is only warned of.
    app: listen === undefined || names.length === 0 ? undefined : { address: listen, allowReachable: true },
  };
}

function hasVariables(env: Environment): boolean {
  return ['AIT_PEERS', 'AIT_INFERENCE', 'AIT_OUTBOUND'].some((name) => (env[name] ?? '') !== '');
}

/** @throws MeshError `CONFIG_INVALID` where there is no such process, or it is somebody else's */
async function environmentOf(pid: string): Promise<Environment> {
  const hint = 'name a process of the agent, and run this as its user or as root';
  if (!/^[1-9][0-9]{0,9}$/.test(pid)) throw new MeshError('CONFIG_INVALID', `--pid ${pid}: no process id`, { hint });
  try {
    const text = await readFile(`/proc/${pid}/environ`, 'utf8');
    const lines = text.split('\0').filter((line) => line.includes('='));
    return Object.fromEntries(
      lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
    );
  } catch (cause) {
    throw new MeshError('CONFIG_INVALID', `the environment of process ${pid} cannot be read`, { cause, hint });
  }
}
