import { CALL_ROWS } from './call-rows.ts';
import { DROPPED_ROWS } from './dropped-rows.ts';
import { HEALTH_ROWS } from './health-rows.ts';
import { INFERENCE_ROWS } from './inference-rows.ts';
import { of, type Dashboard } from './panel.ts';

/** The one dashboard: from top to bottom the questions of somebody who was woken up. */
export const DASHBOARD: Dashboard = {
  uid: 'ait-mesh',
  title: 'ait-mesh: what is being dropped, and why',
  description:
    'Read it from top to bottom: is anything dropped, whom, why, since when, is it spreading; then health and inference.',
  rows: [...DROPPED_ROWS, ...HEALTH_ROWS, ...CALL_ROWS, ...INFERENCE_ROWS],
  annotations: [
    {
      name: 'Policy changed',
      expr: 'changes(ait_policy_revision{job=~"$job"}[$__interval]) > 0',
      title: 'Policy changed',
      color: 'blue',
    },
    {
      name: 'Sidecar started',
      expr: `${of('process_start_time_seconds')} * 1000 > $__from`,
      title: 'Process of {{agent}} started',
      color: 'purple',
    },
  ],
};
