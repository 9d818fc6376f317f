import { gained, of, type Row } from './panel.ts';

const quantile = (q: number, histogram: string, by = '') => {
  const labels = by === '' ? 'le' : `le, ${by}`;
  return `histogram_quantile(${q}, sum by (${labels}) (rate(${of(`${histogram}_bucket`)}[$__range])))`;
};

const CREDENTIALS: Row = {
  title: '6 · Health: certificates, signed state, outage tolerance',
  height: 8,
  panels: [
    {
      title: 'Time without the authority that is left',
      description:
        'At 0 a sidecar cuts everything (STATE_STALE). It stays near outage_tolerance while the authority answers.',
      kind: 'timeseries',
      queries: [{ expr: `min by (agent) (${of('ait_outage_tolerance_remaining_seconds')})`, legend: '{{agent}}' }],
      runbook: 'stale-or-refused-state',
      unit: 's',
      width: 6,
      below: true,
      warn: 1800,
      bad: 600,
    },
    {
      title: 'Credentials: time left',
      description: 'The least of each kind. A saw-tooth is right; a line that only falls is a renewal that fails.',
      kind: 'timeseries',
      queries: [
        {
          expr: `min by (agent, kind) (${of('ait_certificate_expiry_timestamp_seconds')}) - time()`,
          legend: '{{agent}} {{kind}}',
        },
      ],
      runbook: 'expiry',
      unit: 's',
      width: 6,
    },
    {
      title: 'Renewals',
      description:
        'Attempts by result. Failed ones are repeated; they matter when a credential is under a third of its life.',
      kind: 'bars',
      queries: [
        {
          expr: `sum by (kind, result) (${gained(of('ait_certificate_rotations_total'), '$__rate_interval')}) > 0`,
          legend: '{{kind}} {{result}}',
        },
      ],
      runbook: 'expiry',
      width: 6,
    },
    {
      title: 'Age of the signed state',
      description: 'Since a sidecar last accepted one. Grows while the authority or the way to it is gone.',
      kind: 'timeseries',
      queries: [
        {
          expr: `time() - min by (agent) (${of('ait_bundle_last_success_timestamp_seconds')} > 0)`,
          legend: '{{agent}}',
        },
      ],
      runbook: 'stale-or-refused-state',
      unit: 's',
      width: 6,
    },
    {
      title: 'Revision of the signed state',
      description: 'Each agent has a state of its own; one that stands still while policy changes does not get it.',
      kind: 'timeseries',
      queries: [
        { expr: `min by (agent) (${of('ait_bundle_revision')})`, legend: '{{agent}}' },
        { expr: 'max(ait_policy_revision{job=~"$job"})', legend: 'policy' },
      ],
      runbook: 'stale-or-refused-state',
      width: 6,
    },
    {
      title: 'Policy: errors and held files',
      description: 'A file with an error has no effect; a held one would cut too many sessions and waits for somebody.',
      kind: 'timeseries',
      queries: [{ expr: 'max by (severity) (ait_policy_problems{job=~"$job"})', legend: '{{severity}}' }],
      runbook: 'policy-problems',
      width: 6,
    },
    {
      title: 'Authority: watchers and instances',
      description: 'Sidecars that are told of changes at once, and instances with a valid certificate.',
      kind: 'timeseries',
      queries: [
        { expr: 'sum(ait_watchers{job=~"$job"})', legend: 'watchers' },
        { expr: 'sum(ait_instances{job=~"$job"})', legend: 'instances' },
      ],
      runbook: 'stale-or-refused-state',
      width: 6,
    },
    {
      title: 'Joins',
      description: 'By result. A restart of a sidecar is a join; a fleet that comes back is many.',
      kind: 'bars',
      queries: [
        {
          expr: `sum by (result) (${gained('ait_joins_total{job=~"$job"}', '$__rate_interval')}) > 0`,
          legend: '{{result}}',
        },
      ],
      runbook: 'joining-fails',
      width: 6,
    },
  ],
};

const PROCESSES: Row = {
  title: '7 · Health: processes',
  height: 8,
  panels: [
    {
      title: 'Event-loop lag, p99',
      description: 'One thread enforces everything: above 100 ms, enforcement is late.',
      kind: 'timeseries',
      queries: [{ expr: of('nodejs_eventloop_lag_p99_seconds'), legend: '{{agent}} {{instance}}' }],
      runbook: 'event-loop-lag',
      unit: 's',
      width: 6,
      warn: 0.05,
      bad: 0.1,
    },
    {
      title: 'From drift to the last socket closed',
      description: 'The budget with 200 sessions: p50 15 ms, p99 50 ms.',
      kind: 'stat',
      queries: [
        { expr: quantile(0.5, 'ait_drift_enforcement_seconds'), legend: 'p50' },
        { expr: quantile(0.99, 'ait_drift_enforcement_seconds'), legend: 'p99' },
      ],
      runbook: 'drift',
      unit: 's',
      width: 6,
      warn: 0.05,
      bad: 0.25,
    },
    {
      title: 'Exchanges: time to a verdict',
      description: 'From the first byte of an exchange to accepted or refused.',
      kind: 'stat',
      queries: [
        { expr: quantile(0.5, 'ait_exchange_duration_seconds'), legend: 'p50' },
        { expr: quantile(0.99, 'ait_exchange_duration_seconds'), legend: 'p99' },
      ],
      runbook: 'event-loop-lag',
      unit: 's',
      width: 6,
      warn: 0.25,
      bad: 1,
    },
    {
      title: 'Unavailability: share of connections',
      description:
        'Connections that failed for want of a peer, a session or a credential. Drift and policy are not counted: they are meant.',
      kind: 'timeseries',
      queries: [{ expr: 'ait:unavailability:ratio_rate5m{agent=~"$agent"}', legend: '{{agent}}' }],
      runbook: 'unavailability',
      unit: 'percentunit',
      width: 6,
    },
    {
      title: 'Memory',
      description: 'Resident. A sidecar has 45 to 80 MB; growth over hours is a leak.',
      kind: 'timeseries',
      queries: [{ expr: of('process_resident_memory_bytes'), legend: '{{agent}} {{instance}}' }],
      runbook: 'event-loop-lag',
      unit: 'bytes',
      width: 6,
    },
    {
      title: 'CPU',
      description: 'Seconds of CPU a second. One thread: 1 is all there is.',
      kind: 'timeseries',
      queries: [
        { expr: `rate(${of('process_cpu_seconds_total')}[$__rate_interval])`, legend: '{{agent}} {{instance}}' },
      ],
      runbook: 'event-loop-lag',
      unit: 's',
      width: 6,
    },
    {
      title: 'Clock skew to peers',
      description: "The peer's clock minus ours. Nothing is decided by it; tokens forgive 30 s.",
      kind: 'timeseries',
      queries: [
        { expr: `max by (agent, peer) (abs(${of('ait_peer_clock_skew_seconds')}))`, legend: '{{agent}} to {{peer}}' },
      ],
      runbook: 'clock-skew',
      unit: 's',
      width: 6,
      warn: 5,
      bad: 30,
    },
    {
      title: 'Measurements that failed',
      description: 'An agent that cannot be measured is cut off, but it is not drift.',
      kind: 'bars',
      queries: [
        {
          expr: `sum by (agent, dimension, reason) (${gained(of('ait_measurement_failures_total'), '$__rate_interval')}) > 0`,
          legend: '{{agent}} {{dimension}} {{reason}}',
        },
      ],
      runbook: 'a-file-that-cannot-be-measured',
      width: 6,
    },
  ],
};

/** What has to be well for enforcement to be well. */
export const HEALTH_ROWS: readonly Row[] = [CREDENTIALS, PROCESSES];
