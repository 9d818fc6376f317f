import type { Socket } from 'node:net';
import type { Http1Server } from '../../dataplane/http1/http1-server.ts';
import type { Rejection } from '../../domain/rejection.ts';
import type { Clock } from '../../platform/clock.ts';
import type { GateTerms } from '../calls/gate-terms.ts';
import type { Carrier, Http1Ends } from '../data/data-connection.ts';
import type { Session } from '../session/session.ts';
import { AppChannel } from './app-channel.ts';

export interface PeerRequestsDeps {
  readonly server: Http1Server;
  readonly clock: Clock;
  readonly calls: GateTerms;
  /** One more connection to our own agent. */
  readonly connectApp: () => Promise<Socket | Rejection>;
}

/** Carries the requests of HTTP/1 that a peer makes on one data connection to our own agent. */
export function carryPeerRequests(session: Session, { peer, agent }: Http1Ends, deps: PeerRequestsDeps): Carrier {
  const { server, clock, calls, connectApp } = deps;
  const { limits, ...destination } = calls.http1Destination(session, 'inbound');
  const maxHeaderBytes = limits.maxHeaderListBytes;
  const app = new AppChannel({ first: agent, connect: connectApp, destination, maxHeaderBytes, clock });
  const served = server.serve(peer, {
    ...calls.http1Terms('peer'),
    find: (_request, { fresh }) => app.find(fresh),
    refused: (refusal) =>
      calls.unreadRefused({
        ...refusal,
        direction: 'inbound',
        peer: session.peer,
        remoteAddress: session.remoteAddress,
      }),
  });
  return {
    over: served.over.finally(() => app.end()),
    finish: () => served.finish(),
    reconsider: () => served.current?.reconsider(),
    cut: (cause, { correlationId }) => {
      served.current?.cut(cause, correlationId);
      app.end();
    },
  };
}
