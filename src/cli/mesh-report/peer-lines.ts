import pc from 'picocolors';
import { nameOf } from '../explain/explanation.ts';
import { printable } from './plain-text.ts';

interface BudgetView {
  readonly used: number;
  readonly limit: number;
}

interface InstanceView {
  readonly address: string;
  readonly state: string;
  readonly connections: number;
  readonly failures: number;
  readonly ejectedForMs: number;
  readonly lastFailure: string;
}

/** What a sidecar says of one peer, as far as it is shown. */
export interface PeerView {
  readonly agent: string;
  readonly circuit: string;
  readonly retryInMs: number;
  readonly lastCause?: { readonly code: string; readonly detail: string };
  readonly known: number;
  readonly instances: readonly InstanceView[];
  readonly budget: { readonly connections: BudgetView; readonly pending: BudgetView; readonly calls: BudgetView };
}

/** A reason is cut off after so many characters: what it says at length is in the log. */
const MAX_REASON = 160;

/** One line for each peer, and one for each instance that we have something to do with, those in trouble first. */
export function peerLines(peers: readonly PeerView[]): readonly string[] {
  return peers.flatMap((peer) => [
    peerLine(peer),
    ...peer.instances.toSorted((a, b) => trouble(b) - trouble(a)).map((instance) => `  ${instanceLine(instance)}`),
  ]);
}

function peerLine({ agent, circuit, retryInMs, lastCause, known, budget }: PeerView): string {
  const { connections, pending, calls } = budget;
  const facts = [
    `${known} address(es) known`,
    `connections ${share(connections)}`,
    `waiting ${share(pending)}`,
    `calls ${share(calls)}`,
  ];
  const line = printable(`${nameOf(agent)}  ${facts.join(', ')}`);
  if (circuit === 'closed') return line;
  const why = lastCause === undefined ? '' : `: ${lastCause.code}: ${lastCause.detail}`;
  const retried = retryInMs > 0 ? `, tried again in ${seconds(retryInMs)}` : '';
  const state = circuit === 'resting' ? 'refused a moment ago' : `circuit ${circuit.replace('_', ' ')}`;
  return `${line}; ${pc.red(reason(`${state}${retried}${why}`))}`;
}

function instanceLine({ address, state, connections, failures, ejectedForMs, lastFailure }: InstanceView): string {
  const where = printable(`${address}  ${state.replace('_', ' ')}`);
  const open = `${connections} connection(s)`;
  if (failures === 0) return `${where}, ${open}`;
  const left = ejectedForMs > 0 ? ` for another ${seconds(ejectedForMs)}` : '';
  return `${where}${left}, ${open}, ${pc.yellow(reason(`${failures} failure(s) in a row: ${lastFailure}`))}`;
}

function trouble({ state, failures }: InstanceView): number {
  return state === 'ejected' ? Infinity : failures;
}

function share({ used, limit }: BudgetView): string {
  return `${used}/${limit}`;
}

function seconds(ms: number): string {
  return `${Math.ceil(ms / 1000)} s`;
}

function reason(text: string): string {
  return printable(text).slice(0, MAX_REASON);
}
