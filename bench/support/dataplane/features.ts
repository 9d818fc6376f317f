import { existsSync } from 'node:fs';
import { parseTrustDomain } from '../../../src/domain/agent-id.ts';
import { readPolicyFile } from '../../../src/authority/policy/policy-objects.ts';
import { sidecarConfigSchema } from '../../../src/sidecar/config.ts';
import { stringify } from 'yaml';
import { ECHO_PATH, STREAM_PATH } from './backend.ts';

/** Permits the calls of this benchmark, and no others: with it each is decided. */
export const CALLS_GRANT = {
  kind: 'Grant',
  from: 'caller',
  to: ['callee'],
  calls: [
    { methods: ['POST'], path: ECHO_PATH },
    { methods: ['GET'], path: STREAM_PATH },
  ],
} as const;

/** What this version of the sidecar has of that which is to be measured. */
export interface Features {
  /** It sees calls, and grants can say which; without that, bytes are carried as they are. */
  readonly decidesCalls: boolean;
  readonly accessLog: boolean;
}

export function findFeatures(): Features {
  const { problems } = readPolicyFile('calls.yaml', stringify(CALLS_GRANT), parseTrustDomain('bench.example'));
  const hasGate = existsSync(new URL('../../../src/dataplane/gate/gate.ts', import.meta.url));
  return {
    decidesCalls: hasGate && problems.length === 0,
    accessLog: Object.hasOwn(sidecarConfigSchema.entries, 'access_log'),
  };
}
