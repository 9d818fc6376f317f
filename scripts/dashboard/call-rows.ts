import { gained, of, type Row } from './panel.ts';

/** Labels of a call that ended in an error. One that its caller gave up did not. */
export const FAILED_CALL = 'code!~"OK|2xx|3xx|CANCELLED|cancelled"';
/** As callers see them: both sidecars count a call, and only theirs knows of those that never arrived. */
const CALLERS = 'direction="outbound"';
const FAILED = of('ait_calls_total', `${CALLERS}, ${FAILED_CALL}`);
const ALL = of('ait_calls_total', CALLERS);
const SECONDS = of('ait_call_duration_seconds_bucket', CALLERS);

const CALLS: Row = {
  title: '8 · Health: calls between agents',
  height: 8,
  panels: [
    {
      title: 'Calls per second, by peer',
      description: 'Who calls whom, and how often. A line that ends is a caller that stopped, or one that is cut off.',
      kind: 'timeseries',
      queries: [{ expr: `sum by (agent, peer) (rate(${ALL}[$__rate_interval]))`, legend: '{{agent}} to {{peer}}' }],
      runbook: 'calls-that-fail',
      unit: 'reqps',
      width: 6,
    },
    {
      title: 'Share of calls that end in an error, by source',
      description:
        "Whose word the error is: app: the called agent's own. sidecar: refused or cut by the caller's sidecar; peer: by the called agent's, look for the reason there.",
      kind: 'timeseries',
      queries: [
        {
          expr: `sum by (source) (${gained(FAILED, '$__rate_interval')}) / on () group_left () sum(${gained(ALL, '$__rate_interval')})`,
          legend: '{{source}}',
        },
      ],
      runbook: 'calls-that-fail',
      unit: 'percentunit',
      width: 6,
    },
    {
      title: 'Duration of calls, p99',
      description:
        'From the headers of a call to its end, so a stream lasts as long as it is open. Nearly all of it is the called agent.',
      kind: 'timeseries',
      queries: [
        {
          expr: `histogram_quantile(0.99, sum by (le, agent, peer) (rate(${SECONDS}[$__rate_interval])))`,
          legend: '{{agent}} to {{peer}}',
        },
      ],
      runbook: 'calls-that-fail',
      unit: 's',
      width: 6,
    },
    {
      title: 'Unavailability: share of calls',
      description:
        'Calls that a sidecar failed for want of a peer, a credential, a state or room. What agents answer, and what drift and policy refuse, is not counted. Alerts AitCallsUnavailable… watch it.',
      kind: 'timeseries',
      queries: [{ expr: 'ait:call_unavailability:ratio_rate5m{agent=~"$agent"}', legend: '{{agent}}' }],
      runbook: 'calls-that-fail',
      unit: 'percentunit',
      width: 6,
    },
  ],
};

/** Whether agents that were admitted get answers from each other. */
export const CALL_ROWS: readonly Row[] = [CALLS];
