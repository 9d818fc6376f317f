import type { JoinServiceHandlers } from '../../wire/generated/ait/v1/JoinService.ts';
import type { JoinRequest__Output } from '../../wire/generated/ait/v1/JoinRequest.ts';
import type { JoinResponse } from '../../wire/generated/ait/v1/JoinResponse.ts';
import { parseCsr } from '../../crypto/csr.ts';
import { isMeshError } from '../../domain/mesh-error.ts';
import type { Logger } from '../../platform/logger.ts';
import { JOIN_RESULTS, type AuthorityMetrics } from '../authority-metrics.ts';
import type { CertificateAuthority } from '../keys/certificate-authority.ts';
import type { Instances } from './instances.ts';
import type { JoinCredentials } from './join-credentials.ts';
import { checkRevoked, type PolicyIndex } from '../policy/policy-index.ts';
import { refusal, unary, type Outcome } from '../refusal.ts';

export interface JoinServiceOptions {
  readonly credentials: JoinCredentials;
  readonly instances: Instances;
  readonly authority: CertificateAuthority;
  readonly logger: Logger;
  readonly metrics: AuthorityMetrics;
  readonly policy: () => PolicyIndex;
}

/** The one service without a client certificate. A request that could not succeed costs no use of the credential. */
export function createJoinService(options: JoinServiceOptions): JoinServiceHandlers {
  const { logger, metrics } = options;
  return {
    Join: unary('Join', logger, async (call) => {
      const { credentialId: credential } = call.request;
      const peer = call.getPeer();
      const outcome = await join(call.request, options).catch((error: unknown) => {
        metrics.joins.add({ result: 'INTERNAL' });
        throw error;
      });
      if (outcome.ok) {
        metrics.joins.add({ result: 'ok' });
        logger.info('joined', { peer, credential_id: credential, instance: outcome.value.instanceId });
      } else {
        const result = JOIN_RESULTS.find((known) => known === outcome.code) ?? 'REQUEST_INVALID';
        metrics.joins.add({ result });
        // An id that was never issued is whatever a stranger typed: bounded, and not believed.
        logger.warn('join_refused', {
          peer,
          credential_id: credential.slice(0, 64),
          code: outcome.code,
          detail: outcome.detail,
        });
      }
      return outcome;
    }),
  };
}

async function join(request: JoinRequest__Output, options: JoinServiceOptions): Promise<Outcome<JoinResponse>> {
  const { credentials, instances, authority, policy } = options;
  let publicKey;
  try {
    publicKey = parseCsr(request.csrDer);
  } catch (error) {
    if (!isMeshError(error)) throw error;
    return refusal('INVALID_ARGUMENT', error.code, error.message);
  }
  const spent = await credentials.spend({
    id: request.credentialId.slice(0, 64),
    secret: request.credentialSecret,
    // Asked once the secret has proven right, and before a use is taken.
    mayJoin: (agent) => {
      const index = policy();
      const revoked = checkRevoked(index, { agent });
      if (revoked !== undefined) return revoked;
      const lifecycle = index.agents.get(agent)?.lifecycle ?? 'not registered with this authority';
      if (lifecycle === 'active' || lifecycle === 'suspended') return undefined;
      return refusal('PERMISSION_DENIED', 'AGENT_NOT_ACTIVE', `${agent} is ${lifecycle}`);
    },
  });
  if (!spent.ok) return spent;
  const credentialId = request.credentialId;
  const { instance, der } = await instances.join({ agent: spent.agent, publicKey, credentialId });
  const value = { certificateDer: der, instanceId: instance.id, trustBundle: authority.bundleJson };
  return { ok: true, value };
}
