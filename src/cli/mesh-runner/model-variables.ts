/** Clients insist on a key. This one opens nothing, and says so to whoever finds it in a log. */
export const NO_KEY = 'not-a-key--the-sidecar-has-it';

/**
 * How an agent finds its model, with any client of the API. Whoever's key is in our own environment, it is not the
 * agent's: with it the model could be called around the sidecar.
 *
 * @param address of the inference port: `host:port`, or `unix:/path` for programs that know what to do with one
 */
export function modelVariables(address: string): Record<string, string> {
  return {
    AIT_INFERENCE: address,
    OPENAI_API_KEY: NO_KEY,
    ...(!address.startsWith('unix:') && { OPENAI_BASE_URL: `http://${address}/v1` }),
  };
}
