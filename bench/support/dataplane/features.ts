import { stringify } from 'yaml';
import { readPolicyFile } from '../../../src/authority/policy/policy-objects.ts';
import { parseTrustDomain } from '../../../src/domain/agent-id.ts';
import { sidecarConfigSchema } from '../../../src/sidecar/config.ts';
import { ECHO_PATH, STREAM_PATH } from './backend.ts';

/** Permits the calls of this benchmark, and no others: with it each is decided. */
export const CALLS_GRANT = {
  kind: 'Grant',
  from: 'caller',
  to: ['callee'],
  calls: [`POST ${ECHO_PATH}`, `GET ${STREAM_PATH}`],
} as const;

/** What this version has of that which is to be measured. */
export interface Features {
  /** A grant can name calls. */
  readonly callGrants: boolean;
  readonly accessLog: boolean;
}

export function findFeatures(): Features {
  const { problems } = readPolicyFile('calls.yaml', stringify(CALLS_GRANT), parseTrustDomain('bench.example'));
  return {
    callGrants: problems.length === 0,
    accessLog: Object.hasOwn(sidecarConfigSchema.entries, 'access_log'),
  };
}
