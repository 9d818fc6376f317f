import { REJECTIONS, driftDimension, type RejectionCode } from '../../domain/rejection.ts';
import { DIMENSIONS, type Difference, type Dimension } from '../../domain/measurement.ts';
import { DIMENSION_WORDS, nameOf } from '../explain/explanation.ts';
import { INFERENCE_SERVICE } from '../mesh-runner/mesh-plan.ts';
import type { LogRecord, OutputLine } from '../mesh-runner/transcript.ts';

/** `bad`: something was cut or refused; `good`: it works (again); `note`: worth knowing; `agent`: an agent's own words. */
export type Tone = 'good' | 'bad' | 'note' | 'agent' | 'quiet';

/** One thing that happened, for a person. */
export interface Sentence {
  readonly tone: Tone;
  readonly text: string;
  /** Sentences with equal keys say the same; of many in a row one is shown. */
  readonly key: string;
  /** Part of every start: what was said before it holds, and is not said anew. */
  readonly routine?: true;
  /** The agent whose own drift this tells of: more about it can be asked for. */
  readonly drifted?: string;
}

interface Cut {
  sessions: number;
  connections: number;
  slowestMs: number;
}

const SIDECAR = /^sidecar (.+)$/;
/** What happens all the time, or is told by another event. */
const SILENT = new Set([
  'sidecar_listening',
  'sidecar_ready',
  'sidecar_draining',
  'sidecar_drained',
  'peer_draining',
  'config_applied',
  'sidecar_stopped',
  'stopping',
  'authority_stopped',
  'inference_stopped',
  'state_applied',
  'ait_renewed',
  'svid_renewed',
  'measurement_changed',
  'measurement_failed',
  'join_credential_created',
  'joined',
  'reported_decision',
  'tls_failed',
  // That sidecar and agent share a user is what a mesh on one machine is like.
  'agent_user_unknown',
]);

/** Turns log lines into sentences. It remembers what belongs together: an agent's drift and what was cut for it. */
export class Narrator {
  readonly #cuts = new Map<string, Cut>();
  readonly #outOfOrder = new Set<string>();
  /** Agents whose sidecars do not accept the inference service. */
  readonly #withoutModel = new Set<string>();

  /** @returns nothing for what need not be told. */
  tell({ source, text, record }: OutputLine): Sentence | undefined {
    const sidecarOf = SIDECAR.exec(source)?.[1];
    if (record !== undefined) {
      if (sidecarOf !== undefined) return this.#sidecar(sidecarOf, record);
      if (source === 'authority') return this.#authority(record);
      if (source === INFERENCE_SERVICE) return inferenceService(record);
    }
    return agentSaid(source, text);
  }

  #authority(record: LogRecord): Sentence | undefined {
    switch (record.event) {
      case 'authority_ready':
        return say(
          'quiet',
          `the authority is up: trust domain ${word(record, 'trust_domain')}, at ${word(record, 'listen')}`,
        );
      case 'policy_applied':
        return policyApplied((record['changes'] ?? []) as readonly string[]);
      case 'policy_problem': {
        const place = `mesh/${word(record, 'file')}:${number(record, 'line')}:${number(record, 'column')}`;
        const field = word(record, 'field');
        const effect = record.level === 'error' ? '; what it said before stays in force' : '';
        return say('bad', `${place}: ${field === '' ? '' : `${field} `}${word(record, 'message')}${effect}`);
      }
      default:
        return unexpected('the authority', record);
    }
  }

  #sidecar(agent: string, record: LogRecord): Sentence | undefined {
    switch (record.event) {
      case 'sidecar_mesh_ready':
        return say(
          'quiet',
          `${agent} joined the mesh and is in order (instance ${word(record, 'instance').slice(0, 8)})`,
        );
      case 'standing_in_order':
        return this.#inOrder(agent, record);
      case 'session_admitted':
        // The called side says the same.
        if (record['direction'] !== 'outbound') return undefined;
        return { ...say('good', `${agent} and ${nameOf(word(record, 'subject'))} accepted each other`), routine: true };
      case 'session_terminated':
        return this.#terminated(agent, record);
      case 'peer_denied':
      case 'peer_refused':
        // A single call to the model has an address: what follows from it for the agent, and how it ended, is told besides.
        if (record['subject'] === 'self') {
          return word(record, 'remoteAddress') === '' ? this.#selfRefused(agent, record) : undefined;
        }
        return refused(agent, record);
      case 'call_cut':
      case 'call_refused':
        return peerCallEnded(agent, record);
      case 'model_call_refused':
        return callRefused(agent, record);
      case 'inference_service_attested':
        return this.#attested(agent);
      case 'inference_service_refused':
        this.#withoutModel.add(agent);
        return say(
          'bad',
          `${agent} does not trust the inference service, ${word(record, 'code')}: ${word(record, 'detail')} → no prompt leaves`,
        );
      default:
        return unexpected(`the sidecar of ${agent}`, record);
    }
  }

  #attested(agent: string): Sentence {
    if (this.#withoutModel.delete(agent)) return say('good', `${agent} trusts the inference service again`);
    return say('quiet', `${agent} accepted the evidence of the inference service: SIMULATED, it proves nothing`);
  }

  #inOrder(agent: string, record: LogRecord): Sentence | undefined {
    if (!this.#outOfOrder.delete(agent)) return undefined;
    return say('good', `${agent} is in order again: it equals baseline ${word(record, 'baseline')}`);
  }

  #terminated(agent: string, record: LogRecord): Sentence | undefined {
    const code = word(record, 'code') as RejectionCode;
    if (record['self'] === true) {
      // The sessions end first; the sentence comes with the reason.
      const cut = this.#cuts.get(agent) ?? { sessions: 0, connections: 0, slowestMs: 0 };
      cut.sessions += 1;
      cut.connections += number(record, 'connections');
      cut.slowestMs = Math.max(cut.slowestMs, number(record, 'enforcementMs'));
      this.#cuts.set(agent, cut);
      return undefined;
    }
    const peer = nameOf(word(record, 'subject'));
    if (code === 'PEER_DRAINING' || code === 'IDLE')
      return say('quiet', `${agent} and ${peer} parted in good order (${code})`);
    const dimension = driftDimension(code);
    if (dimension !== undefined) {
      const how = `${amount(number(record, 'connections'), 'connection')} in ${milliseconds(number(record, 'enforcementMs'))}`;
      return say('bad', `${agent} cut ${peer} off for drift in the ${DIMENSION_WORDS[dimension]}: ${how}`);
    }
    const said = (record['peerSaid'] as { reason?: string } | undefined)?.reason;
    if (said !== undefined) return say('quiet', `${peer} told ${agent} that it is over: ${said}, no more than that`);
    return say('note', `${agent}: the session with ${peer} ended: ${code}, ${word(record, 'detail')}`);
  }

  #selfRefused(agent: string, record: LogRecord): Sentence {
    const code = word(record, 'code') as RejectionCode;
    this.#outOfOrder.add(agent);
    const cut = this.#cuts.get(agent);
    this.#cuts.delete(agent);
    const effect =
      cut === undefined
        ? 'nobody talks to it'
        : `${amount(cut.sessions, 'session')} and ${amount(cut.connections, 'connection')} cut in ${milliseconds(cut.slowestMs)}`;
    const differences = (record['differences'] ?? []) as readonly Difference[];
    const drifted = driftDimension(code);
    const what =
      drifted === undefined
        ? `${code}: ${word(record, 'detail')}`
        : `DRIFT in the ${inWords(differences, drifted)} of ${agent}${record['inUse'] === undefined ? '' : ', as it is in use'}`;
    const text = drifted === undefined ? `${agent} is not in order, ${what} → ${effect}` : `${what} → ${effect}`;
    return { ...say('bad', text), ...(drifted !== undefined && { drifted: agent }) };
  }
}

function refused(agent: string, record: LogRecord): Sentence {
  const code = word(record, 'code') as RejectionCode;
  const subject = word(record, 'subject');
  const peer = subject === '' ? `a caller from ${word(record, 'remoteAddress')}` : nameOf(subject);
  const key = `${agent} refused ${peer} ${code}`;
  if (record['direction'] === 'outbound') {
    return { tone: 'quiet', text: `a call from ${agent} to ${peer} was refused: ${code}`, key };
  }
  return { tone: 'bad', text: `${agent} refused ${peer}: ${code}. ${REJECTIONS[code]?.meaning ?? ''}`, key };
}

/** One call between agents that a sidecar refused, or ended while it ran. Of its path only what a terminal prints as it is. */
function peerCallEnded(agent: string, record: LogRecord): Sentence {
  const { method = '', path = '' } = (record['call'] ?? {}) as { readonly method?: string; readonly path?: string };
  const peer = nameOf(word(record, 'subject'));
  const between = record['direction'] === 'outbound' ? `${agent} to ${peer}` : `${peer} to ${agent}`;
  const what = `${method} ${path}`.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, 80);
  const end = record.event === 'call_cut' ? 'was cut while it ran' : 'was refused';
  const code = word(record, 'code');
  return { tone: 'quiet', text: `${what} from ${between} ${end}: ${code}`, key: `${between} ${end} ${code}` };
}

/** A call of an agent to its model. That it is refused again and again is one story. */
function callRefused(agent: string, record: LogRecord): Sentence {
  const code = word(record, 'code');
  const text = `${agent} called its model and was refused, ${code}: ${word(record, 'detail')}`;
  return { tone: 'note', text, key: `${agent} model ${code}` };
}

function inferenceService(record: LogRecord): Sentence | undefined {
  if (record.event === 'inference_ready') {
    return say('quiet', `the inference service is up, at ${word(record, 'listen')}: SIMULATED, it makes answers up`);
  }
  return unexpected('the inference service', record);
}

function policyApplied(changes: readonly string[]): Sentence | undefined {
  const baselines = changes.flatMap((change) => /^put baseline (.+)$/.exec(change)?.[1] ?? []);
  if (baselines.length > 0) return say('good', `approved and in force: ${baselines.join(', ')}`);
  const text = changes.map((change) => change.replace(/^put /, '').replace(/^delete /, 'without ')).join(', ');
  return text === '' ? undefined : say('note', `policy changed: ${text}`);
}

/** An agent's line; its numbers do not make it another. */
function agentSaid(source: string, text: string): Sentence | undefined {
  if (text.trim() === '') return undefined;
  const [gist = ''] = text.split(':', 1);
  return { tone: 'agent', text: `${source} │ ${text.slice(0, 300)}`, key: `${source} ${gist.replaceAll(/\d+/g, '#')}` };
}

/** Whatever else is an error or warning is told by its name, rather than not at all. */
function unexpected(who: string, record: LogRecord): Sentence | undefined {
  const { event, level } = record;
  if (SILENT.has(event) || (level !== 'warn' && level !== 'error' && level !== 'fatal')) return undefined;
  const error = (record['error'] ?? {}) as { message?: unknown };
  const candidates: unknown[] = [record['detail'], record['reason'], error.message, record['error']];
  const detail = candidates.find((candidate) => typeof candidate === 'string');
  return {
    tone: level === 'warn' ? 'note' : 'bad',
    text: `${who}: ${event}${typeof detail === 'string' ? ` ${detail}` : ''}`,
    key: `${who} ${event}`,
  };
}

function inWords(differences: readonly Difference[], first: Dimension): string {
  const dimensions = DIMENSIONS.filter(
    (dimension) => dimension === first || differences.some((one) => one.dimension === dimension),
  );
  return dimensions.map((dimension) => DIMENSION_WORDS[dimension]).join(' and the ');
}

function say(tone: Tone, text: string): Sentence {
  return { tone, text, key: text };
}

function amount(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

function milliseconds(ms: number): string {
  return `${ms.toFixed(ms < 10 ? 1 : 0)} ms`;
}

function word(record: LogRecord, field: string): string {
  const value = record[field];
  return typeof value === 'string' ? value : '';
}

function number(record: LogRecord, field: string): number {
  const value = record[field];
  return typeof value === 'number' ? value : 0;
}
