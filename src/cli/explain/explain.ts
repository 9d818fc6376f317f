import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import pc from 'picocolors';
import { isMeshError, MeshError } from '../../domain/mesh-error.ts';
import { environment } from '../../platform/environment.ts';
import type { CommandOutput } from '../command-output.ts';
import { EXIT } from '../exit-codes.ts';
import { readAdmin } from '../mesh-runner/admin-client.ts';
import { resolveTarget } from '../operator/authority-target.ts';
import type { TargetFlags } from '../operator/target-options.ts';
import {
  findDecision,
  isAgent,
  type AskedSidecar,
  type DecisionRecord,
  type FoundDecision,
  type SidecarStatus,
} from './decision-record.ts';
import { nameOf, renderExplanation } from './explanation.ts';
import { findAdminSockets } from './find-sockets.ts';
import { explainFromAuthority, type Explained } from './explain-from-authority.ts';

export interface ExplainOptions extends Omit<TargetFlags, 'admin'> {
  readonly admin?: readonly string[];
  readonly id?: string;
  readonly json?: boolean;
}

/**
 * Tells the newest refusal or end that concerns the agent. Sidecars in reach are asked first, then the authority, which
 * remembers what those said that are gone.
 */
export async function explain(
  agent: string | undefined,
  options: ExplainOptions,
  output: CommandOutput,
): Promise<void> {
  const wanted: Explained = { agent, id: options.id };
  if (agent === undefined && options.id === undefined) {
    throw new MeshError('CONFIG_INVALID', 'explain what? Name an agent, or a decision with --id');
  }
  const remote = options.authority !== undefined || options.operator !== undefined;
  if (remote && options.admin === undefined) {
    const told = await explainFromAuthority(resolveTarget(remoteFlags(options)), { wanted, options, output });
    if (!told) tellNothing({ wanted, options, output });
    return;
  }
  const sockets = socketsToAsk(options);
  const asked = await Promise.all(sockets.map(askSidecar));
  const sidecars = asked.flatMap(({ sidecar }) => sidecar ?? []);
  for (const { problem } of asked) if (problem !== undefined) output.error(problem);
  const found = findDecision(sidecars, { agent, ...(options.id !== undefined && { id: options.id }) });
  if (found === undefined && options.admin === undefined) {
    const outcome = await tryAuthority({ wanted, options, output });
    if (outcome === 'told') return;
    if (outcome === 'nothing' && sidecars.length === 0) {
      tellNothing({ wanted, options, output });
      return;
    }
  }
  if (sidecars.length === 0) {
    output.error(nobodyAnswered(sockets));
    output.exitCode(EXIT.usage);
    return;
  }
  tell({ found, wanted, options, output, sidecars });
}

function remoteFlags({ authority, operator }: ExplainOptions): TargetFlags {
  return { ...(authority !== undefined && { authority }), ...(operator !== undefined && { operator }) };
}

type Context = Pick<Telling, 'wanted' | 'options' | 'output'>;

/** The authority, if there is one to be asked: one that merely might be there is no failure when it is not. */
async function tryAuthority(context: Context): Promise<'told' | 'nothing' | 'not there'> {
  const target = resolveTarget({});
  if (target.kind === 'socket' && !existsSync(target.path)) return 'not there';
  try {
    return (await explainFromAuthority(target, context)) ? 'told' : 'nothing';
  } catch (error) {
    if (!target.given && isMeshError(error, 'AUTHORITY_UNREACHABLE')) return 'not there';
    throw error;
  }
}

function tellNothing({ wanted, options, output }: Context): void {
  const about = [wanted.agent, wanted.id].filter((word) => word !== undefined).join(', ');
  output.exitCode(EXIT.nothing);
  if (options.json === true) output.print(JSON.stringify({ found: false, decidedBy: null, decision: null, sides: [] }));
  else output.print(`The authority knows of nothing that was refused or ended: ${about}.`);
}

interface Telling {
  readonly found: FoundDecision | undefined;
  readonly wanted: Explained;
  readonly options: ExplainOptions;
  readonly output: CommandOutput;
  readonly sidecars: readonly AskedSidecar[];
}

function tell({ found, wanted, options, output, sidecars }: Telling): void {
  const { agent } = wanted;
  const own = sidecars.find(({ status }) => agent !== undefined && isAgent(status.agent, agent));
  output.exitCode(found === undefined ? EXIT.nothing : EXIT.ok);
  if (options.json === true) {
    const { decision, sidecar } = found ?? {};
    const decidedBy = sidecar && {
      agent: sidecar.status.agent,
      instance: sidecar.status.instance ?? null,
      socket: sidecar.socket,
    };
    output.print(
      JSON.stringify({
        found: found !== undefined,
        inOrder: own?.status.inOrder ?? null,
        decidedBy: decidedBy ?? null,
        decision: decision ?? null,
      }),
    );
  } else if (found === undefined) output.print(nothingFound(wanted, own, sidecars));
  else {
    output.print(renderExplanation(found, pc));
    if (own?.status.inOrder === true && found.decision.rejection !== undefined) {
      output.print(`${pc.bold('Now')}         the sidecar of ${nameOf(own.status.agent)} says it is in order`);
    }
  }
}

function socketsToAsk({ admin }: ExplainOptions): readonly string[] {
  if (admin !== undefined && admin.length > 0) return admin.map((path) => resolve(path));
  const fromEnvironment = environment['AIT_ADMIN'];
  if (fromEnvironment !== undefined && fromEnvironment !== '')
    return fromEnvironment.split(',').map((path) => resolve(path.trim()));
  return findAdminSockets('.ait');
}

/** Neither of both: nothing that answers, or nothing that decides. */
interface Asked {
  readonly sidecar?: AskedSidecar;
  readonly problem?: string;
}

async function askSidecar(socket: string): Promise<Asked> {
  try {
    const status = (await readAdmin(socket, '/status')) as Partial<SidecarStatus> | null;
    // The authority has an admin socket, too, but decides about nobody.
    if (typeof status?.agent !== 'string') return {};
    const decisions = (await readAdmin(socket, '/decisions')) as readonly DecisionRecord[];
    return { sidecar: { socket, status: { ...status, agent: status.agent }, decisions } };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    // What a sidecar that was killed left behind.
    if (code === 'ECONNREFUSED') return {};
    const hint = code === 'EACCES' ? ": it is for the sidecar's own user; use sudo, or that account" : '';
    return { problem: `${socket} could not be asked: ${message}${hint}` };
  }
}

function nobodyAnswered(sockets: readonly string[]): string {
  if (sockets.length > 0) return `no sidecar answered at: ${sockets.join(', ')}`;
  return 'no admin socket found: name one with --admin or AIT_ADMIN, run this where `ait dev` keeps its .ait folder, or ask the authority with --operator <file>';
}

function nothingFound(
  { agent, id }: Explained,
  own: AskedSidecar | undefined,
  sidecars: readonly AskedSidecar[],
): string {
  const about = [
    ...(agent === undefined ? [] : [`concerning ${agent}`]),
    ...(id === undefined ? [] : [`with the id ${id}`]),
  ];
  const asked = `${sidecars.length} sidecar(s) asked: ${sidecars.map(({ status }) => nameOf(status.agent)).join(', ')}`;
  const nothing = `Nothing was refused or ended ${about.join(' ')}.`;
  return agent === undefined ? `${nothing}\n${asked}.` : `${nothing} ${standingText(agent, own)}\n${asked}.`;
}

function standingText(agent: string, own: AskedSidecar | undefined): string {
  if (own === undefined) return `None of them is the sidecar of ${agent}.`;
  if (own.status.inOrder === true) return `${agent} is in order now.`;
  return `${agent} is not ready; \`curl --unix-socket ${own.socket} http://localhost/readyz\` names what it waits for.`;
}
