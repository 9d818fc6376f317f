import type { Blocker } from '../../platform/readiness.ts';

/** What keeps a sidecar from being ready while its agent could not call its model. */
export const INFERENCE_BLOCKER = 'inference';

export const INFERENCE_NOT_YET: Blocker = {
  name: INFERENCE_BLOCKER,
  reason: 'where the agent calls its model has not been reached yet',
};
