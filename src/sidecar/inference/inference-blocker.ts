/** What keeps a sidecar from being ready while its agent could not call its model. */
export const INFERENCE_BLOCKER = 'inference';
