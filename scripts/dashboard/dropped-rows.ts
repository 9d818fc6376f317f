import { FAILED_CALL } from './call-rows.ts';
import { gained, of, type Row } from './panel.ts';

const DRIFT = of('ait_drift_total', 'action!="observed"');
const REFUSED = of('ait_exchanges_total', 'result!="accepted"');
/** Ends that nobody minds: the next call opens another session. */
const ENDED = of('ait_sessions_terminated_total', 'reason!~"IDLE|PEER_DRAINING"');
const OUTSIDE = of('ait_connections_refused_total');
const CUT = of('ait_connections_closed_total', 'reason=~"drift|revoked|expired|policy|error"');
/** Of each call only what that very sidecar did: what the other one refused is counted there. */
const CALLS_REFUSED = of('ait_calls_total', `source="sidecar", ${FAILED_CALL}`);
const WAIVED = of('ait_would_deny_total');

const inRange = (series: string) => `sum(${gained(series, '$__range')}) or vector(0)`;
const perStep = (series: string, by: string) => `sum by (${by}) (${gained(series, '$__rate_interval')}) > 0`;

const DROPPED: Row = {
  title: '1 · Is anything being dropped?',
  height: 4,
  panels: [
    {
      title: 'Drift',
      description:
        'Times an agent differed from every approved baseline, in the time shown, and was refused or cut off. Anything but 0 wants to be looked at now.',
      kind: 'stat',
      queries: [{ expr: inRange(DRIFT), legend: 'drift' }],
      runbook: 'drift',
      width: 3,
      bad: 1,
    },
    {
      title: 'Sessions ended',
      description: 'Live sessions that ended for a reason, idling and orderly shutdown left out.',
      kind: 'stat',
      queries: [{ expr: inRange(ENDED), legend: 'ended' }],
      runbook: 'three-words-that-are-not-the-same',
      width: 3,
      warn: 1,
      bad: 50,
    },
    {
      title: 'Exchanges refused',
      description: 'Peers that were never admitted. A handful after a roll-out is usual; a jump is not.',
      kind: 'stat',
      queries: [{ expr: inRange(REFUSED), legend: 'refused' }],
      runbook: 'three-words-that-are-not-the-same',
      width: 4,
      warn: 1,
      bad: 50,
    },
    {
      title: 'Connections cut',
      description: 'Open connections of agents that were reset: callers saw an error.',
      kind: 'stat',
      queries: [{ expr: inRange(CUT), legend: 'cut' }],
      runbook: 'drift',
      width: 4,
      warn: 1,
      bad: 50,
    },
    {
      title: 'Calls refused',
      description:
        'Single calls between admitted agents that a sidecar refused, or cut while they were under way: callers saw an error.',
      kind: 'stat',
      queries: [{ expr: inRange(CALLS_REFUSED), legend: 'refused' }],
      runbook: 'call_not_granted',
      width: 3,
      warn: 1,
      bad: 50,
    },
    {
      title: 'Waived by observe mode',
      description:
        'What would have been refused, had an agent not been in observe mode. Nothing was dropped for these.',
      kind: 'stat',
      queries: [{ expr: inRange(WAIVED), legend: 'waived' }],
      runbook: 'observe-mode',
      width: 4,
      warn: 1,
    },
    {
      title: 'Live sessions',
      description: 'Pairs of instances that have accepted each other, counted on both sides.',
      kind: 'stat',
      queries: [{ expr: `sum(${of('ait_sessions')}) or vector(0)`, legend: 'sessions' }],
      runbook: 'what-you-are-looking-at',
      width: 3,
    },
  ],
};

const WHOM: Row = {
  title: '2 · Whom?',
  height: 8,
  panels: [
    {
      title: 'Who drifted, in what, seen by whom',
      description:
        'peer "self" is the agent of that very sidecar: it cut itself off. Any other peer was seen to differ by the sidecar of the agent named first.',
      kind: 'table',
      queries: [
        { expr: `sum by (agent, peer, dimension, action) (${gained(DRIFT, '$__range')}) > 0`, legend: '{{agent}}' },
      ],
      runbook: 'drift',
      width: 8,
    },
    {
      title: 'Sessions ended, by agent',
      description: 'An agent on its own has a problem of its own; all at once point to the authority or the network.',
      kind: 'bars',
      queries: [{ expr: perStep(ENDED, 'agent'), legend: '{{agent}}' }],
      runbook: 'three-words-that-are-not-the-same',
      width: 8,
    },
    {
      title: 'Exchanges refused, by agent and direction',
      description: 'inbound: this agent refuses others. outbound: its own calls are refused, by itself or by the peer.',
      kind: 'bars',
      queries: [{ expr: perStep(REFUSED, 'agent, direction'), legend: '{{agent}} {{direction}}' }],
      runbook: 'three-words-that-are-not-the-same',
      width: 8,
    },
  ],
};

const WHY: Row = {
  title: '3 · Why?',
  height: 8,
  panels: [
    {
      title: 'Sessions ended, by reason',
      description:
        'The first cause, one of the rejection codes; docs/reference/rejection-codes.md says what to do for each.',
      kind: 'bars',
      queries: [{ expr: perStep(ENDED, 'reason'), legend: '{{reason}}' }],
      runbook: 'runbook',
      width: 6,
    },
    {
      title: 'Exchanges refused, by reason',
      description: 'PEER_REFUSED: the other side knows why; look for the same time in its row, or ask ait explain.',
      kind: 'bars',
      queries: [{ expr: perStep(REFUSED, 'result'), legend: '{{result}}' }],
      runbook: 'grant_missing',
      width: 6,
    },
    {
      title: 'Connections refused outside an exchange',
      description:
        'Strangers on the port (TLS_…, ALPN_…), or no session to use: the agent itself is not in order, or the peer is not there.',
      kind: 'bars',
      queries: [{ expr: perStep(OUTSIDE, 'reason'), legend: '{{reason}}' }],
      runbook: 'refused-strangers',
      width: 6,
    },
    {
      title: 'Calls refused, by method',
      description:
        'Refused or cut by a sidecar. PERMISSION_DENIED, 4xx: no grant lists the call, or drift. A method that neither a grant nor calls.methods names is "other"; ait explain has its path.',
      kind: 'bars',
      queries: [
        {
          expr: perStep(CALLS_REFUSED, 'direction, peer, method, code'),
          legend: '{{direction}} {{peer}}, {{method}}: {{code}}',
        },
      ],
      runbook: 'call_not_granted',
      width: 6,
    },
  ],
};

const SINCE: Row = {
  title: '4 · Since when?',
  height: 8,
  panels: [
    {
      title: 'Drift over time',
      description:
        'When it began and whether it goes on. Blue marks are changes of policy, purple ones starts of processes.',
      kind: 'bars',
      queries: [{ expr: perStep(DRIFT, 'agent, peer, dimension'), legend: '{{agent}}: {{peer}} {{dimension}}' }],
      runbook: 'drift',
      width: 8,
    },
    {
      title: 'What is measured changed',
      description:
        'Each change of an agent, and what its own sidecar then thought of it. "refused" is the moment of drift.',
      kind: 'bars',
      queries: [
        { expr: perStep(of('ait_measurement_changes_total'), 'agent, standing'), legend: '{{agent}} {{standing}}' },
      ],
      runbook: 'drift',
      width: 8,
    },
    {
      title: 'Live sessions, by agent',
      description: 'A step down is a cut; back up again means that it was put right.',
      kind: 'timeseries',
      queries: [{ expr: `sum by (agent) (${of('ait_sessions')})`, legend: '{{agent}}' }],
      runbook: 'what-you-are-looking-at',
      width: 8,
    },
  ],
};

const SPREADING: Row = {
  title: '5 · Is it spreading?',
  height: 8,
  panels: [
    {
      title: 'Agents that drifted in the last 10 minutes',
      description: 'One is an edit or a mishap. A growing number is a bad roll-out, or somebody at work.',
      kind: 'timeseries',
      queries: [
        {
          expr: `count(sum by (agent) (${gained(of('ait_drift_total', 'peer="self", action!="observed"'), '10m')}) > 0) or vector(0)`,
          legend: 'agents',
        },
        {
          expr: `count(sum by (agent, instance) (${gained(of('ait_drift_total', 'peer="self", action!="observed"'), '10m')}) > 0) or vector(0)`,
          legend: 'instances',
        },
      ],
      runbook: 'drift',
      width: 8,
    },
    {
      title: 'Share of exchanges that are refused',
      description: 'By agent. Alert AitDenyRatioJump compares it with the day before.',
      kind: 'timeseries',
      queries: [
        {
          expr: `sum by (agent) (${gained(REFUSED, '$__rate_interval')}) / sum by (agent) (${gained(of('ait_exchanges_total'), '$__rate_interval')})`,
          legend: '{{agent}}',
        },
      ],
      runbook: 'grant_missing',
      unit: 'percentunit',
      width: 8,
    },
    {
      title: 'What all sidecars report, by reason',
      description: 'From the authority: refusals and ends of the whole mesh, also of sidecars that nobody scrapes.',
      kind: 'bars',
      queries: [
        {
          expr: perStep('ait_reported_decisions_total{job=~"$job", outcome!="admitted"}', 'outcome, code'),
          legend: '{{outcome}} {{code}}',
        },
      ],
      runbook: 'first-look',
      width: 8,
    },
  ],
};

/** The five questions that come first. */
export const DROPPED_ROWS: readonly Row[] = [DROPPED, WHOM, WHY, SINCE, SPREADING];
