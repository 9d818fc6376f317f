/** Every check there is, and what is in order when it finds nothing. The name is also the anchor in docs/check.md. */
export const CHECKS = {
  'sidecar-answers': 'the sidecar runs and answers its operators',
  'sidecar-ready': 'nothing keeps the sidecar from being ready',
  'config-in-force': 'what the configuration file says is in force',
  'socket-access': 'sockets can be used by the agent, and by nobody else',
  'peer-way': 'each peer can be called where the agent finds it',
  'common-way': 'the port for all peers takes calls by name, and works as a proxy',
  'inference-way': 'the agent can call its model',
  'app-listens': 'the agent listens where its sidecar calls it',
  'around-the-sidecar': 'the agent cannot be reached around its sidecar',
  'authority-way': 'the authority can be reached, and is the one that the sidecar knows',
  'mesh-names': 'names of agents lead to the sidecar and nowhere else',
  'host-names': 'hosts that the configuration names can be resolved',
  clock: 'the clocks of agent, sidecar and authority agree',
  certificates: 'certificates, tokens and signed state are in their time',
  'proxy-variables': 'no variable leads calls around the sidecar, or to a proxy in between',
  'model-variables': "the model's address is the sidecar's, and its key is not the agent's",
  'peer-variables': 'variables for peers say where the sidecar listens',
} as const;

export type CheckName = keyof typeof CHECKS;

/** `warn`: works, and somebody should look at it. `skip`: could not be looked at from here. */
export type Verdict = 'ok' | 'warn' | 'fail' | 'skip';

/** What one check found out about one thing. */
export interface Finding {
  readonly check: CheckName;
  readonly verdict: Verdict;
  /** What was found, in one line; it names what it is about. */
  readonly detail: string;
  /** What to do; with `warn` and `fail` there always is something. */
  readonly fix?: string;
}

export function ok(check: CheckName, detail: string): Finding {
  return { check, verdict: 'ok', detail };
}

export function skip(check: CheckName, detail: string): Finding {
  return { check, verdict: 'skip', detail };
}

export function warn(check: CheckName, detail: string, fix: string): Finding {
  return { check, verdict: 'warn', detail, fix };
}

export function fail(check: CheckName, detail: string, fix: string): Finding {
  return { check, verdict: 'fail', detail, fix };
}

/** The page of the documentation that tells more, with its anchor. */
export function linkOf(check: CheckName): string {
  return `docs/check.md#${check}`;
}
