import {
  connect as connectHttp2,
  createServer as createHttp2Server,
  type ClientHttp2Session,
  type Http2Server,
  type ServerHttp2Session,
} from 'node:http2';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { once } from 'node:events';
import type { TestContext } from 'node:test';
import type { Call, CallDecision, CallOutcome, CallPolicy, CallRequest } from '../../src/dataplane/gate/call.ts';
import type { GateOptions } from '../../src/dataplane/gate/gate.ts';
import { GatedConnection } from '../../src/dataplane/gate/gated-connection.ts';
import { rejection, type Rejection } from '../../src/domain/rejection.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { resetSocket } from '../../src/platform/reset-socket.ts';

/** A policy that remembers what it was told; every call is permitted unless a test says otherwise. */
export class RecordingPolicy implements CallPolicy {
  readonly started_: Call[] = [];
  readonly ended_: { readonly call: Call; readonly outcome: CallOutcome }[] = [];
  readonly violations: Rejection[] = [];
  heldTimes = 0;
  decision: (request: CallRequest) => CallDecision = () => ({ permitted: true, label: 'any' });
  onEnded: () => void = () => undefined;

  decide(request: CallRequest): CallDecision {
    return this.decision(request);
  }

  started(call: Call): void {
    this.started_.push(call);
  }

  ended(call: Call, outcome: CallOutcome): void {
    this.ended_.push({ call, outcome });
    this.onEnded();
  }

  violated(cause: Rejection): void {
    this.violations.push(cause);
  }

  held(): void {
    this.heldTimes += 1;
  }
}

export function gateOptions(policy: CallPolicy, more: Partial<GateOptions> = {}): GateOptions {
  let count = 0;
  return {
    policy,
    direction: 'outbound',
    limits: { maxConcurrent: 100, maxHeaderListBytes: 65_536, maxDeadlineMs: undefined, stallMs: 60_000 },
    clock: systemClock,
    newTraceparent: () => `00-${(++count).toString(16).padStart(32, '0')}-00000000000000aa-01`,
    newCorrelationId: () => `id-${++count}`,
    calleeGone: () => rejection('PEER_LOST', 'the callee has closed the connection'),
    identity: () => [],
    ...more,
  };
}

export interface GatedPair {
  readonly policy: RecordingPolicy;
  readonly server: Http2Server;
  readonly client: ClientHttp2Session;
  readonly connections: readonly GatedConnection[];
  readonly serverSession: () => ServerHttp2Session;
  readonly port: number;
}

/** A client and a server of node:http2 with one gate between them, on real sockets; all of it ends with the test. */
export async function startGatedPair(
  t: TestContext,
  serve: (server: Http2Server) => void,
  options: Partial<GateOptions> = {},
  http2: { client?: Parameters<typeof connectHttp2>[1]; server?: Parameters<typeof createHttp2Server>[0] } = {},
): Promise<GatedPair> {
  const policy = new RecordingPolicy();
  const connections: GatedConnection[] = [];
  const sockets = new Set<Socket>();
  const server = createHttp2Server(http2.server ?? {});
  let session: ServerHttp2Session | undefined;
  server.on('session', (opened) => (session = opened));
  serve(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const backend = (server.address() as AddressInfo).port;
  const front = createServer({ allowHalfOpen: true, noDelay: true }, (agent) => {
    const upstream = connect({ port: backend, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    for (const socket of [agent, upstream]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
    }
    const ends = {
      client: { stream: agent, reset: () => resetSocket(agent) },
      server: { stream: upstream, reset: () => resetSocket(upstream) },
    };
    connections.push(new GatedConnection(ends, gateOptions(policy, options)));
  });
  front.listen(0, '127.0.0.1');
  await once(front, 'listening');
  const { port } = front.address() as AddressInfo;
  const client = connectHttp2(`http://127.0.0.1:${port}`, http2.client ?? {});
  client.on('error', () => undefined);
  t.after(() => {
    client.destroy();
    for (const socket of sockets) socket.destroy();
    front.close();
    server.close();
  });
  return { policy, server, client, connections, port, serverSession: () => session! };
}
