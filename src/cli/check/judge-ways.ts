import { REJECTIONS, type RejectionCode } from '../../domain/rejection.ts';
import { fail, ok, skip, warn, type CheckName, type Finding } from './finding.ts';
import type { ModelsAnswer, ProbeFailure, SocketFacts } from './probe-place.ts';
import type { TunnelAnswer } from './probe-tunnel.ts';
import type { Place } from './ways.ts';

/** What the sidecar has on record about a call of ours that came to nothing. */
export interface Reason {
  readonly code: RejectionCode;
  readonly correlationId: string;
}

/** @param reason what the sidecar has on record of it; `undefined`: nothing, or it could not be asked */
export function judgeTunnel(
  { check, peer, at }: { readonly check: 'peer-way' | 'common-way'; readonly peer: string; readonly at: Place },
  answer: TunnelAnswer,
  reason?: Reason,
): Finding {
  const where = `${peer} at ${at}`;
  switch (answer.kind) {
    case 'established':
      return ok(check, `${where}: its sidecar takes our connections`);
    case 'unreachable':
      return fail(check, `${where}: ${answer.detail}`, adviceFor(answer.code));
    case 'closed':
      if (reason !== undefined) return refusedFor(check, where, reason);
      return fail(
        check,
        `${where}: the connection was closed (${answer.detail})`,
        '`ait explain <agent>` has the reason',
      );
    case 'refused': {
      const { code, correlationId, status } = answer;
      if (isRejectionCode(code)) return refusedFor(check, where, { code, correlationId });
      const fix = 'what listens there is no sidecar of this version: correct the address';
      return fail(check, `${where}: CONNECT was answered with ${status}`, fix);
    }
  }
}

function refusedFor(check: CheckName, where: string, { code, correlationId }: Reason): Finding {
  const id = correlationId === '' ? '' : `; \`ait explain --id ${correlationId}\``;
  return fail(check, `${where}: ${code}${id}`, REJECTIONS[code].action);
}

export function isRejectionCode(code: string): code is RejectionCode {
  return Object.hasOwn(REJECTIONS, code);
}

/** What to do where nobody could be reached, by the system's code. */
export function adviceFor(code: string): string {
  switch (code) {
    case 'EACCES':
    case 'EPERM':
      return 'this user may not use the socket: see its mode and group (`socket_mode`), and as whom the agent runs';
    case 'ENOENT':
      return 'there is no such socket: is the sidecar running, and is its folder mounted here?';
    case 'ECONNREFUSED':
      return 'nobody listens there: is the sidecar running, and in the same network namespace (pod)?';
    default:
      return 'is the sidecar running, and is this its address?';
  }
}

export function judgeHttp2(at: Place, failure: ProbeFailure | undefined): Finding {
  if (failure === undefined) return ok('common-way', `HTTP/2 at ${at}, for gRPC by \`:authority\``);
  return fail('common-way', `HTTP/2 at ${at}: ${failure.detail}`, adviceFor(failure.code));
}

export function judgeModels(at: Place, answer: ModelsAnswer): Finding {
  if (answer.ok) {
    const { models } = answer;
    if (models.length > 0) return ok('inference-way', `${at}: ${models.join(', ')}`);
    return warn('inference-way', `${at}: no model is approved`, 'approve a baseline that names one');
  }
  const { code, detail } = answer.failure;
  if (isRejectionCode(code)) return fail('inference-way', `${at}: ${code}`, REJECTIONS[code].action);
  return fail('inference-way', `${at}: ${detail}`, adviceFor(code));
}

export function judgeApp(at: Place, failure: ProbeFailure | undefined): Finding {
  if (failure === undefined) return ok('app-listens', at);
  const fix = 'start the agent, and have it listen where `app.address` says';
  return fail('app-listens', `nobody at ${at}: ${failure.detail}`, fix);
}

/** @param around where else somebody listens on the agent's port; `undefined`: this system does not tell */
export function judgeAround(around: readonly string[] | undefined, allowReachable: boolean): Finding {
  const check = 'around-the-sidecar';
  if (around === undefined) return skip(check, 'this system does not tell who listens where');
  if (around.length === 0) return ok(check, 'nobody else listens on its port');
  const detail = `it can be called without its sidecar at ${around.join(', ')}`;
  const fix = 'have the agent listen on 127.0.0.1 or a unix socket';
  return allowReachable ? warn(check, `${detail}, which app.allow_reachable permits`, fix) : fail(check, detail, fix);
}

const OTHERS = 0o007;
const WRITABLE_BY_OTHERS = 0o002;
const STICKY = 0o1000;
const ADMIN_OTHERS = 0o077;

/** @param use who is to use it: the agent, or operators alone */
export function judgeSocket({ path, isSocket, mode, folder }: SocketFacts, use: 'agent' | 'operators'): Finding {
  const check = 'socket-access';
  const octal = `0${(mode & 0o777).toString(8)}`;
  if (!isSocket) return fail(check, `${path} is no socket`, 'remove it, and restart the sidecar');
  if ((folder.mode & WRITABLE_BY_OTHERS) !== 0 && (folder.mode & STICKY) === 0) {
    const detail = `anybody can put another socket in the place of ${path}`;
    return fail(check, detail, `chmod o-w ${folder.path}, or name a folder of its own`);
  }
  if (use === 'operators') {
    if ((mode & ADMIN_OTHERS) === 0) return ok(check, `${path}, ${octal}: its owner alone`);
    return fail(check, `${path}, ${octal}: the admin socket is open to others`, `chmod 0600 ${path}`);
  }
  if ((mode & OTHERS) === 0) return ok(check, `${path}, ${octal}`);
  const fix = 'set `socket_mode: 0660`, with a group that the agent alone is in';
  return warn(check, `${path}, ${octal}: anybody on this machine can call in the agent's name`, fix);
}
