import type { Call, CallOutcome } from '../../dataplane/gate/call.ts';
import type { BulkLog, Logger } from '../../platform/logger.ts';
import { directionOf } from '../decision-log.ts';
import type { Session } from '../session/session.ts';
import { codeOf } from './call-metrics.ts';
import type { CallSettings } from './calls-section.ts';
import { loggablePath, printable } from './decided-call.ts';

const MAX_METHOD = 32;

/** Writes one line for each call, if configuration says so: event `call`, level info. */
export class AccessLog {
  readonly #lines: BulkLog;
  readonly #settings: Pick<CallSettings, 'accessLog'>;

  constructor({ logger, settings }: { readonly logger: Logger; readonly settings: Pick<CallSettings, 'accessLog'> }) {
    this.#lines = logger.bulk('call');
    this.#settings = settings;
  }

  /** Whether a line would be written. */
  get enabled(): boolean {
    return this.#settings.accessLog && this.#lines.enabled;
  }

  /** For the calls of one session. */
  of(session: Session): SessionAccess {
    return new SessionAccess({ session, lines: this.#lines, isEnabled: () => this.enabled });
  }
}

interface SessionAccessOptions {
  readonly session: Session;
  readonly lines: BulkLog;
  readonly isEnabled: () => boolean;
}

/**
 * The lines of one session's calls. Headers are not in them, nor is the query of a path: both may hold secrets. Put
 * together by hand, because there may be as many as calls.
 */
export class SessionAccess {
  readonly #options: SessionAccessOptions;
  #common: string | undefined;

  constructor(options: SessionAccessOptions) {
    this.#options = options;
  }

  get enabled(): boolean {
    return this.#options.isEnabled();
  }

  write({ request, label, traceparent }: Call, outcome: CallOutcome): void {
    const { httpStatus, source, rejection, correlationId, durationMs } = outcome;
    const why = rejection === undefined ? '' : `,"code":"${rejection.code}"`;
    const id = correlationId === '' ? '' : `,"correlationId":${JSON.stringify(correlationId)}`;
    this.#options.lines.write(
      `${this.#sessionMembers()},"method":${JSON.stringify(printable(request.method, MAX_METHOD))}` +
        `,"path":${JSON.stringify(loggablePath(request.path))},"label":${JSON.stringify(label)}` +
        `,"status":"${codeOf(outcome)}","httpStatus":${httpStatus ?? 'null'},"source":"${source}"${why}${id}` +
        `,"durationMs":${Math.round(durationMs * 1000) / 1000}` +
        `,"requestBytes":${outcome.requestBytes},"responseBytes":${outcome.responseBytes}` +
        `,"requestMessages":${outcome.requestMessages},"responseMessages":${outcome.responseMessages}` +
        `,"traceparent":${JSON.stringify(traceparent)}`,
    );
  }

  /** Known since the session is live, and the same for all its calls. */
  #sessionMembers(): string {
    this.#common ??= commonMembers(this.#options.session);
    return this.#common;
  }
}

function commonMembers({ peer, peerInstance, id, role }: Session): string {
  const members = { direction: directionOf(role), peer, peerInstance: peerInstance ?? null, sessionId: id ?? null };
  return JSON.stringify(members).slice(1, -1);
}
