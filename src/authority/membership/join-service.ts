import type { KeyObject } from 'node:crypto';
import type { JoinServiceHandlers } from '../../wire/generated/ait/v1/JoinService.ts';
import type { JoinRequest__Output } from '../../wire/generated/ait/v1/JoinRequest.ts';
import type { JoinResponse } from '../../wire/generated/ait/v1/JoinResponse.ts';
import { parseCsr } from '../../crypto/csr.ts';
import { kindOf, type SpiffeId } from '../../domain/agent-id.ts';
import { isMeshError } from '../../domain/mesh-error.ts';
import type { Logger } from '../../platform/logger.ts';
import { JOIN_RESULTS, type AuthorityMetrics } from '../authority-metrics.ts';
import type { CertificateAuthority } from '../keys/certificate-authority.ts';
import type { PodLineages } from '../kubernetes/pod-lineages.ts';
import type { ServiceAccounts } from '../kubernetes/service-accounts.ts';
import type { Instances, JoinOrigin } from './instances.ts';
import type { CredentialRecord, JoinCredentials } from './join-credentials.ts';
import { checkRevoked, type PolicyIndex } from '../policy/policy-index.ts';
import { refusal, unary, type Outcome, type Refusal } from '../refusal.ts';

export interface JoinServiceOptions {
  readonly credentials: JoinCredentials;
  readonly serviceAccounts: ServiceAccounts;
  readonly pods: PodLineages;
  readonly instances: Instances;
  readonly authority: CertificateAuthority;
  readonly logger: Logger;
  readonly metrics: AuthorityMetrics;
  readonly policy: () => PolicyIndex;
}

/** Who may join, and by what. */
interface Admitted {
  readonly agent: SpiffeId;
  readonly origin: JoinOrigin;
}

/** The one service without a client certificate. A request that could not succeed costs no use of the credential. */
export function createJoinService(options: JoinServiceOptions): JoinServiceHandlers {
  const { logger, metrics } = options;
  return {
    Join: unary('Join', logger, async (call) => {
      const { credentialId: credential } = call.request;
      const peer = call.getPeer();
      const outcome = await join(call.request, options).catch((error: unknown) => {
        metrics.joins.add({ result: isMeshError(error, 'STATE_NOT_WRITTEN') ? 'STATE_NOT_WRITTEN' : 'INTERNAL' });
        throw error;
      });
      if (outcome.ok) {
        metrics.joins.add({ result: 'ok' });
        const { instance, origin, agent } = outcome.value;
        const { credentialId, pod } = origin;
        const by = pod === undefined ? { credential_id: credentialId } : { pod };
        logger.info('joined', { peer, agent, ...by, instance });
        return { ok: true, value: outcome.value.response };
      }
      const result = JOIN_RESULTS.find((known) => known === outcome.code) ?? 'REQUEST_INVALID';
      metrics.joins.add({ result });
      // An id that was never issued is whatever a stranger typed: bounded, and not believed.
      const by = credential === '' ? {} : { credential_id: credential.slice(0, 64) };
      logger.warn('join_refused', { peer, ...by, code: outcome.code, detail: outcome.detail });
      return outcome;
    }),
  };
}

interface Joined extends Admitted {
  readonly instance: string;
  readonly response: JoinResponse;
}

async function join(request: JoinRequest__Output, options: JoinServiceOptions): Promise<Outcome<Joined>> {
  const { instances, authority } = options;
  const key = readCsr(request.csrDer);
  if (!key.ok) return key;
  const admitted = await admit(request, options);
  if (!admitted.ok) return admitted;
  const { agent, origin } = admitted.value;
  const { instance, der } = await instances.join({ agent, publicKey: key.value, origin });
  const response = { certificateDer: der, instanceId: instance.id, trustBundle: authority.bundleJson };
  return { ok: true, value: { agent, origin, instance: instance.id, response } };
}

function readCsr(der: Uint8Array): Outcome<KeyObject> {
  try {
    return { ok: true, value: parseCsr(der) };
  } catch (error) {
    if (!isMeshError(error)) throw error;
    return refusal('INVALID_ARGUMENT', error.code, error.message);
  }
}

function admit(request: JoinRequest__Output, options: JoinServiceOptions): Promise<Outcome<Admitted>> {
  const { credentialId, credentialSecret, serviceAccountToken } = request;
  const byCredential = credentialId !== '' || credentialSecret.length > 0;
  const byToken = serviceAccountToken !== '';
  if (byCredential === byToken) {
    const detail = 'a request has a join credential or a ServiceAccount token, one of the two';
    return Promise.resolve(refusal('INVALID_ARGUMENT', 'REQUEST_INVALID', detail));
  }
  return byToken ? admitToken(serviceAccountToken, options) : admitCredential(request, options);
}

async function admitCredential(
  { credentialId, credentialSecret: secret }: JoinRequest__Output,
  { credentials, logger, policy }: JoinServiceOptions,
): Promise<Outcome<Admitted>> {
  const spent = await credentials.spend({
    id: credentialId.slice(0, 64),
    secret,
    // Asked once the secret has proven right, and before a use is taken.
    mayJoin: (agent) => mayJoin(agent, policy()),
  });
  if (!spent.ok) return spent;
  warnOfTheEnd(spent.credential, logger);
  return { ok: true, value: { agent: spent.credential.agent, origin: { credentialId } } };
}

async function admitToken(
  compact: string,
  { serviceAccounts, pods, policy }: JoinServiceOptions,
): Promise<Outcome<Admitted>> {
  const verified = await serviceAccounts.verify(compact);
  if (!verified.ok) return verified;
  const { token, agent } = verified.value;
  const objection = mayJoin(agent, policy()) ?? (await pods.continue(token));
  if (objection !== undefined) return objection;
  const { issuer, namespace, account, pod } = token;
  const { name, uid } = pod;
  const origin = { credentialId: '', pod: { issuer, namespace, service_account: account, name, uid } };
  return { ok: true, value: { agent, origin } };
}

function mayJoin(agent: SpiffeId, index: PolicyIndex): Refusal | undefined {
  const revoked = checkRevoked(index, { agent });
  if (revoked !== undefined) return revoked;
  if (kindOf(agent) === 'inference') {
    if (index.inferenceServices.has(agent)) return undefined;
    return refusal('PERMISSION_DENIED', 'SERVICE_NOT_APPROVED', `no policy in force approves ${agent}`);
  }
  const lifecycle = index.agents.get(agent)?.lifecycle ?? 'not registered with this authority';
  if (lifecycle === 'active' || lifecycle === 'suspended') return undefined;
  return refusal('PERMISSION_DENIED', 'AGENT_NOT_ACTIVE', `${agent} is ${lifecycle}`);
}

/** Each start of a sidecar is a use: one that restarts again and again would lock itself out in silence. */
function warnOfTheEnd({ id, agent, uses, usesLeft }: CredentialRecord, logger: Logger): void {
  // One that is for a single start is meant to end with it.
  if (uses === 'unlimited' || usesLeft === 'unlimited' || uses === 1 || usesLeft >= uses / 10) return;
  logger.warn('join_credential_running_out', {
    agent,
    credential_id: id,
    uses,
    uses_left: usesLeft,
    action: 'see whether the sidecar keeps restarting; make a new one with `ait agent credential`',
  });
}
