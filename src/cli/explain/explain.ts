import { resolve } from 'node:path';
import pc from 'picocolors';
import { environment } from '../../platform/environment.ts';
import type { CommandOutput } from '../command-output.ts';
import { EXIT } from '../exit-codes.ts';
import { readAdmin } from '../mesh-runner/admin-client.ts';
import {
  findDecision,
  isAgent,
  type AskedSidecar,
  type DecisionRecord,
  type SidecarStatus,
} from './decision-record.ts';
import { nameOf, renderExplanation } from './explanation.ts';
import { findAdminSockets } from './find-sockets.ts';

export interface ExplainOptions {
  readonly admin?: readonly string[];
  readonly id?: string;
  readonly json?: boolean;
}

/** Asks every sidecar in reach, and tells the newest refusal or end that concerns the agent. */
export async function explain(agent: string, options: ExplainOptions, output: CommandOutput): Promise<void> {
  const sockets = socketsToAsk(options);
  const asked = await Promise.all(sockets.map(askSidecar));
  const sidecars = asked.flatMap(({ sidecar }) => sidecar ?? []);
  for (const { problem } of asked) if (problem !== undefined) output.error(problem);
  if (sidecars.length === 0) {
    output.error(nobodyAnswered(sockets));
    output.exitCode(EXIT.usage);
    return;
  }
  const found = findDecision(sidecars, { agent, ...(options.id !== undefined && { id: options.id }) });
  const own = sidecars.find(({ status }) => isAgent(status.agent, agent));
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
  } else if (found === undefined) output.print(nothingFound(agent, own, { sidecars, ...options }));
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
  return 'no admin socket found: name one with --admin or AIT_ADMIN, or run this where `ait dev` keeps its .ait folder';
}

function nothingFound(
  agent: string,
  own: AskedSidecar | undefined,
  { sidecars, id }: { sidecars: readonly AskedSidecar[]; id?: string },
): string {
  const about = id === undefined ? `concerning ${agent}` : `concerning ${agent} with the id ${id}`;
  const asked = `${sidecars.length} sidecar(s) asked: ${sidecars.map(({ status }) => nameOf(status.agent)).join(', ')}`;
  const standing =
    own === undefined
      ? `None of them is the sidecar of ${agent}.`
      : own.status.inOrder === true
        ? `${agent} is in order now.`
        : `${agent} is not ready; \`curl --unix-socket ${own.socket} http://localhost/readyz\` names what it waits for.`;
  return `Nothing was refused or ended ${about}. ${standing}\n${asked}.`;
}
