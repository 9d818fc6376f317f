import { gained, of, type Row } from './panel.ts';

const REQUESTS = of('ait_inference_requests_total');
/** What is not the agent's own doing; alert AitInferenceErrors counts the same. */
const FAILED =
  'outcome=~"model_error|INFERENCE_(UNAVAILABLE|TIMEOUT|OVERLOADED|ANSWER_INVALID|MODEL_CHANGED|KEY_ECHOED)|PEER_UNREACHABLE|EVIDENCE_.*"';
const quantile = (q: number, histogram: string) => {
  return `histogram_quantile(${q}, sum by (le) (rate(${of(`${histogram}_bucket`)}[$__range])))`;
};

const INFERENCE: Row = {
  title: '9 · Calls to models',
  height: 8,
  panels: [
    {
      title: 'Calls, by outcome',
      description:
        "answered, model_error (the model's own), aborted (by the agent), or the rejection code. A …_DRIFT is an agent that says something else than what is approved.",
      kind: 'bars',
      queries: [{ expr: `sum by (outcome) (${gained(REQUESTS, '$__rate_interval')}) > 0`, legend: '{{outcome}}' }],
      runbook: 'inference-errors',
      width: 8,
    },
    {
      title: 'Share of calls that fail',
      description:
        'By agent: failures of the service or of the way to it, among all calls that the agent did not abort.',
      kind: 'timeseries',
      queries: [
        {
          expr: `sum by (agent) (rate(${of('ait_inference_requests_total', FAILED)}[$__rate_interval])) / sum by (agent) (rate(${of('ait_inference_requests_total', 'outcome!="aborted"')}[$__rate_interval]))`,
          legend: '{{agent}}',
        },
      ],
      runbook: 'inference-errors',
      unit: 'percentunit',
      width: 8,
    },
    {
      title: 'Attestation checks',
      description: 'Evidence of the inference service, by result. While it fails, no prompt leaves the machine.',
      kind: 'bars',
      queries: [
        {
          expr: `sum by (result) (${gained(of('ait_attestation_checks_total'), '$__rate_interval')}) > 0`,
          legend: '{{result}}',
        },
      ],
      runbook: 'attestation-fails',
      width: 8,
    },
    {
      title: 'Time to the first token',
      description: "The service's own time and ours; ours is below 3 ms.",
      kind: 'stat',
      queries: [
        { expr: quantile(0.5, 'ait_inference_time_to_first_token_seconds'), legend: 'p50' },
        { expr: quantile(0.95, 'ait_inference_time_to_first_token_seconds'), legend: 'p95' },
      ],
      runbook: 'inference-errors',
      unit: 's',
      width: 8,
    },
    {
      title: 'Duration of calls',
      description: 'From the request to the last byte of the answer.',
      kind: 'stat',
      queries: [
        { expr: quantile(0.5, 'ait_inference_duration_seconds'), legend: 'p50' },
        { expr: quantile(0.95, 'ait_inference_duration_seconds'), legend: 'p95' },
      ],
      runbook: 'inference-errors',
      unit: 's',
      width: 8,
    },
    {
      title: 'Tokens a second',
      description: 'As the service counts them, by kind.',
      kind: 'timeseries',
      queries: [
        { expr: `sum by (kind) (rate(${of('ait_inference_tokens_total')}[$__rate_interval]))`, legend: '{{kind}}' },
      ],
      runbook: 'inference-errors',
      width: 8,
    },
  ],
};

/** What agents ask of models, through their sidecars. */
export const INFERENCE_ROWS: readonly Row[] = [INFERENCE];
