import type pc from 'picocolors';
import { agentNameOf, isSpiffeId, kindOf } from '../../domain/agent-id.ts';
import type { InUseDifference } from '../../domain/inference/in-use.ts';
import type { Difference, Dimension } from '../../domain/measurement.ts';
import { REJECTIONS, driftDimension, type Clocks, type Rejection } from '../../domain/rejection.ts';
import type { FoundDecision } from './decision-record.ts';

/** What colours the text: `picocolors` as it is, or without any colour. */
export type Colors = Pick<typeof pc, 'bold' | 'red' | 'green' | 'yellow' | 'dim' | 'cyan'>;

/** Dimensions as people call them. */
export const DIMENSION_WORDS = {
  system_prompt: 'system prompt',
  knowledge_base: 'knowledge base',
  model: 'model',
  tools: 'tools',
} as const satisfies Record<Dimension, string>;

const IN_USE_ACTION =
  'The files may be right: the process says something else to its model. If that is intended, approve it (a named prompt, or a template with slots); if not, treat it as an attack: find out what changed the process, and restart it. It ends with a call that matches, 60 s after the last that did not, or by `ait drift clear`.';

/** A short name for our own agents, the whole SPIFFE ID for anything else. */
export function nameOf(id: string): string {
  return isSpiffeId(id) && kindOf(id) === 'agent' ? agentNameOf(id) : id;
}

/** The whole answer for a terminal: what, who, why, and what to do. */
export function renderExplanation({ decision, sidecar, repeats }: FoundDecision, colors: Colors): string {
  const { rejection } = decision;
  if (rejection === undefined) return '';
  const { meaning, action } = REJECTIONS[rejection.code];
  const inUse = rejection.inUse !== undefined;
  const owner = nameOf(sidecar.status.agent);
  const rows: [label: string, lines: readonly string[]][] = [
    ['when', [new Date(decision.at).toISOString()]],
    [
      'decided by',
      [`the sidecar of ${owner}${decision.direction === 'inbound' ? ', the called side' : ', the calling side'}`],
    ],
    ['about', [aboutLine(decision, owner, rejection)]],
    ['known', rejection.known === undefined ? [] : [rejection.known.join(', ') || 'nobody']],
    ['check', [`${rejection.code} (${phaseWords(rejection)})`, meaning]],
    ['call', decision.call === undefined ? [] : [callLine(decision.call)]],
    ['detail', [rejection.detail]],
    ['differs', (rejection.differences ?? []).flatMap(differenceLines)],
    ['nearest', rejection.nearestBaseline === undefined ? [] : [`baseline ${rejection.nearestBaseline}`]],
    ['where', decision.textDifference === undefined ? [] : [whereLine(decision.textDifference)]],
    ['in use', decision.where === undefined ? [] : inUseLines(decision.where)],
    ['clocks', rejection.clocks === undefined ? [] : clockLines(rejection.clocks)],
    ['peer said', peerLines(rejection)],
    ['cut', cutLine(decision)],
    ['sessions', sessionsLine(decision)],
    ['since', repeats === 0 ? [] : [`${repeats} call(s) refused for the same reason`]],
    ['id', decision.correlationId === '' ? [] : [`${decision.correlationId} (the same on both sides)`]],
  ];
  const body = rows.filter(([, lines]) => lines.length > 0).map(([label, lines]) => row(label, lines, colors));
  const headline = colors.bold(colors.red(headlineOf(decision, owner, rejection)));
  return [headline, '', ...body, '', `${colors.bold('What to do')}  ${inUse ? IN_USE_ACTION : action}`].join('\n');
}

function headlineOf(
  { subject, outcome, sessionsEnded, direction, call }: FoundDecision['decision'],
  owner: string,
  rejection: Rejection,
): string {
  const dimension = driftDimension(rejection.code);
  const self = subject === 'self' || rejection.self === true;
  const who = self ? owner : subject === '' ? 'somebody unknown' : nameOf(subject);
  const inUse = rejection.inUse === undefined ? '' : ' in use';
  const what = dimension === undefined ? rejection.code : `${DIMENSION_WORDS[dimension]} drifted${inUse}`;
  // The authority knows no more of a call than its code and its detail.
  const isOurs = direction === 'outbound' && subject === '';
  if (call !== undefined || rejection.code.startsWith('CALL_')) {
    const [caller, called] = direction === 'outbound' ? [owner, nameOf(subject)] : [nameOf(subject), owner];
    return `A call of ${caller} to ${called} was ${call?.wasUnderWay === true ? 'cut' : 'refused'}: ${what}`;
  }
  if (self && sessionsEnded === 0 && inUse !== '') return `A call of ${who} to its model was refused: its ${what}`;
  if (self) return `${who} is cut off: its ${dimension === undefined ? 'own check failed: ' : ''}${what}`;
  if (outcome === 'terminated') return `The session of ${owner} and ${who} was ended: ${what}`;
  // Whoever calls out by our sidecar is our own agent, whether or not it could be told whom it called.
  if (isOurs) return `A connection of ${owner} was refused: ${what}`;
  return `${owner} refused ${who}: ${what}`;
}

function callLine({ method, path, label, wasUnderWay }: NonNullable<FoundDecision['decision']['call']>): string {
  return `${method} ${path}, counted as ${label}${wasUnderWay ? '; it was under way' : ''}`;
}

function aboutLine(
  { subject, direction, remoteAddress }: FoundDecision['decision'],
  owner: string,
  rejection: Rejection,
): string {
  if (subject === 'self' || rejection.self === true) return `its own agent, ${owner}`;
  if (subject !== '') return subject;
  return direction === 'outbound' ? `its own agent, at ${remoteAddress}` : 'a caller that proved no identity';
}

function phaseWords({ code }: Rejection): string {
  const { phase } = REJECTIONS[code];
  const words = {
    transport: 'TLS',
    exchange: 'the conversation',
    admission: 'admission',
    live: 'live session',
    data: 'data connection',
    call: 'a call between agents',
    inference: 'a call to its model',
  };
  return words[phase];
}

function differenceLines({ dimension, item, expected, observed }: Difference): string[] {
  const what = item === '' ? DIMENSION_WORDS[dimension] : `${DIMENSION_WORDS[dimension]}, ${item}`;
  return [what, `  approved  ${expected ?? '(nothing)'}`, `  observed  ${observed ?? '(nothing)'}`];
}

function whereLine({
  whitespaceOnly,
  byteOffset,
  line,
  column,
}: NonNullable<FoundDecision['decision']['textDifference']>): string {
  const what = whitespaceOnly ? 'only whitespace differs' : 'the text differs';
  return `${what}, from byte ${byteOffset} on (line ${line}, column ${column})`;
}

function inUseLines({
  at,
  prompt,
  byteOffset,
  observedBytes,
  expectedBytes,
  whitespaceOnly,
}: InUseDifference): string[] {
  const place = at === '' ? 'something is missing' : at;
  const lengths =
    expectedBytes === undefined ? `${observedBytes} bytes` : `${observedBytes} bytes, approved are ${expectedBytes}`;
  const from = byteOffset === undefined ? '' : `, from byte ${byteOffset} on`;
  return [
    `${place}, against the prompt ${prompt}: ${whitespaceOnly === true ? 'only whitespace differs' : 'it differs'}${from}`,
    lengths,
  ];
}

function sessionsLine({ sessionsEnded, where }: FoundDecision['decision']): string[] {
  if (sessionsEnded === undefined || where === undefined) return [];
  return [sessionsEnded === 0 ? 'none ended' : `${sessionsEnded} ended`];
}

/** Both times, and how far apart they are: a clock that is off looks like expiry. */
function clockLines({ ours, theirs, what }: Clocks): string[] {
  const apart = (ours - theirs) / 1000;
  const relation = apart >= 0 ? `${seconds(apart)} past it` : `${seconds(-apart)} before it`;
  const width = Math.max('our clock'.length, what.length);
  return [
    `${what.padEnd(width)}  ${new Date(theirs).toISOString()}`,
    `${'our clock'.padEnd(width)}  ${new Date(ours).toISOString()}, ${relation}`,
  ];
}

function seconds(count: number): string {
  return count < 120 ? `${count.toFixed(1)} s` : `${Math.round(count / 60)} min`;
}

function peerLines({ peerSaid }: Rejection): string[] {
  return peerSaid === undefined
    ? []
    : [`${peerSaid.reason}; its own log has the reason under ${peerSaid.correlationId}`];
}

function cutLine({ connections, enforcementMs }: FoundDecision['decision']): string[] {
  if (connections === undefined) return [];
  if (enforcementMs === undefined) return [`${connections} data connection(s) and the session`];
  return [`${connections} data connection(s) and the session, ${enforcementMs.toFixed(1)} ms after it was detected`];
}

function row(label: string, lines: readonly string[], colors: Colors): string {
  const [first = '', ...rest] = lines;
  const width = 12;
  return [`${colors.dim(label.padEnd(width))}${first}`, ...rest.map((line) => ' '.repeat(width) + line)].join('\n');
}
