import type { KeyObject } from 'node:crypto';
import { isMeshError } from '../../domain/mesh-error.ts';
import { isHostPort } from '../../domain/host-port.ts';
import { parseCsr } from '../../crypto/csr.ts';
import type { Logger } from '../../platform/logger.ts';
import type { IssueAitRequest__Output } from '../../wire/generated/ait/v1/IssueAitRequest.ts';
import type { IdentityServiceHandlers } from '../../wire/generated/ait/v1/IdentityService.ts';
import type { AitIssuer } from '../keys/ait-issuer.ts';
import type { AuthorityMetrics } from '../authority-metrics.ts';
import { ANY_MEMBER, type Caller, type Callers } from './callers.ts';
import type { Instances } from './instances.ts';
import { refusal, unary, type Outcome, type Refusal } from '../refusal.ts';

export interface IdentityServiceOptions {
  readonly callers: Callers;
  readonly instances: Instances;
  readonly issuer: AitIssuer;
  /** The trust bundle now, in SPIFFE bundle format. */
  readonly bundleJson: () => string;
  readonly logger: Logger;
  readonly metrics: AuthorityMetrics;
}

/** Renewal of SVIDs and issue of AITs, each bound to the certificate of the connection it is asked on. */
export function createIdentityService(options: IdentityServiceOptions): IdentityServiceHandlers {
  const { callers, instances, issuer, bundleJson, logger, metrics } = options;
  return {
    RenewSvid: unary('RenewSvid', logger, async (call) => {
      const caller = callers.authenticate(call, ANY_MEMBER);
      if (!caller.ok) return refuseRenewal(caller);
      const key = readCsr(call.request.csrDer);
      if (!key.ok) return refuseRenewal(key);
      const { agent, instance, thumbprint } = caller.value;
      const outcome = await instances.renew({ id: instance, thumbprint, publicKey: key.value });
      if (!outcome.ok) return outcome;
      logger.info('svid_renewed', { agent, instance });
      return { ok: true, value: { certificateDer: outcome.value.der } };
    }),

    GetTrustBundle: unary('GetTrustBundle', logger, (call) => {
      const caller = callers.authenticate(call, ANY_MEMBER);
      return Promise.resolve(caller.ok ? { ok: true, value: { trustBundle: bundleJson() } } : caller);
    }),

    IssueAit: unary('IssueAit', logger, async (call) => {
      const caller = callers.authenticate(call);
      const outcome = caller.ok ? await issueAit(caller.value, call.request) : caller;
      metrics.aitsIssued.add({ result: outcome.ok ? 'ok' : 'refused' });
      if (!outcome.ok) logger.warn('ait_refused', { peer: call.getPeer(), code: outcome.code, detail: outcome.detail });
      return outcome;
    }),
  };

  function refuseRenewal(why: Refusal): Refusal {
    metrics.renewals.add({ result: 'refused' });
    logger.warn('renewal_refused', { code: why.code, detail: why.detail });
    return why;
  }

  async function issueAit(caller: Caller, request: IssueAitRequest__Output): Promise<Outcome<{ ait: string }>> {
    const { measurement, dataAddress: address } = request;
    if (address !== '' && !isHostPort(address)) {
      return refusal('INVALID_ARGUMENT', 'DATA_ADDRESS_INVALID', 'data_address is not host:port');
    }
    const issued = await issuer.issue(caller, measurement);
    if (!issued.ok) return issued;
    await instances.setAddress(caller.instance, address);
    logger.debug('ait_issued', { agent: caller.agent, instance: caller.instance });
    return { ok: true, value: { ait: issued.value } };
  }
}

function readCsr(der: Uint8Array): Outcome<KeyObject> {
  try {
    return { ok: true, value: parseCsr(der) };
  } catch (error) {
    if (!isMeshError(error)) throw error;
    return refusal('INVALID_ARGUMENT', error.code, error.message);
  }
}
