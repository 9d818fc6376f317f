import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import type { BodyWatch } from '../../src/dataplane/http1/body-watch.ts';
import { Channel } from '../../src/dataplane/http1/channel.ts';
import { ChannelPool } from '../../src/dataplane/http1/channel-pool.ts';
import { Http1Server } from '../../src/dataplane/http1/http1-server.ts';
import type { ServedConnection } from '../../src/dataplane/http1/served-connection.ts';
import type { Found, Http1Terms } from '../../src/dataplane/http1/terms.ts';
import { rejection, type Rejection } from '../../src/domain/rejection.ts';
import type { Clock } from '../../src/platform/clock.ts';
import { resetSocket } from '../../src/platform/reset-socket.ts';
import { RecordingPolicy } from './gated-pair.ts';
import { RawHttp1, RawHttp1Server } from './raw-http1.ts';

type Refused = Parameters<Http1Terms['refused']>[0];

/** The data plane for HTTP/1.1 of one sidecar, in the test's process: a raw caller before it, a raw callee behind it. */
export class Http1Hop {
  readonly policy = new RecordingPolicy();
  readonly callee: RawHttp1Server;
  readonly served: ServedConnection[] = [];
  readonly refusals: Refused[] = [];
  /** Every connection to the callee that was ever made. */
  readonly channels: Channel[] = [];
  /** Why no connection to the callee can be had. Default: one can. */
  unplaced: Rejection | undefined;
  bodyWatch: BodyWatch | undefined;
  mayUse: (channel: Channel) => boolean = () => true;
  audience: Http1Terms['audience'] = 'peer';
  stallMs = 60_000;
  #aheadMs = 0;
  readonly clock: Clock = { now: () => Date.now(), monotonic: () => performance.now() + this.#aheadMs };
  readonly #server = new Http1Server();
  readonly #idle = new ChannelPool((channel) => this.mayUse(channel));
  #port = 0;
  #ids = 0;

  private constructor(callee: RawHttp1Server) {
    this.callee = callee;
  }

  static async start(t: TestContext): Promise<Http1Hop> {
    const hop = new Http1Hop(await RawHttp1Server.start(t));
    const sockets = new Set<Socket>();
    const listener = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      sockets.add(socket.on('error', () => undefined));
      hop.served.push(hop.#server.serve(endOf(socket), hop.#terms()));
    });
    listener.listen(0, '127.0.0.1');
    await once(listener, 'listening');
    hop.#port = (listener.address() as AddressInfo).port;
    t.after(() => {
      for (const socket of sockets) socket.destroy();
      for (const channel of hop.channels) channel.abandon();
      listener.close();
    });
    return hop;
  }

  connect(): RawHttp1 {
    return new RawHttp1({ host: '127.0.0.1', port: this.#port });
  }

  /** So much time passes for those that look at the clock. */
  pass(ms: number): void {
    this.#aheadMs += ms;
    for (const connection of this.served) connection.timePassed();
  }

  /** Looks at the connections that wait, as time does. */
  tidy(): void {
    this.#idle.tidy();
  }

  #terms(): Http1Terms {
    return {
      audience: this.audience,
      limits: { maxHeaderBytes: 16_384, stallMs: this.stallMs },
      clock: this.clock,
      newTraceparent: () => '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      newCorrelationId: () => `id-${(this.#ids += 1)}`,
      find: (_request, { fresh }) => {
        if (this.unplaced !== undefined) return { ok: false, rejection: this.unplaced, correlationId: '' };
        const channel = fresh ? undefined : this.#idle.take();
        return channel === undefined ? this.#dial() : this.#found(channel);
      },
      refused: (refusal) => this.refusals.push(refusal),
    };
  }

  #found(channel: Channel): Found {
    const { policy, bodyWatch } = this;
    const identity = () => [{ name: 'x-ait-peer-agent', value: 'planner' }];
    const calleeGone = () => rejection('APP_UNREACHABLE', 'the callee has closed the connection');
    return { ok: true, destination: { policy, identity, calleeGone, channel, bodyWatch } };
  }

  async #dial(): Promise<Found> {
    const socket = connect({ host: '127.0.0.1', port: this.callee.port, noDelay: true, allowHalfOpen: true });
    const open = await new Promise((resolve) => {
      socket.once('connect', () => resolve(true)).on('error', () => resolve(false));
    });
    const calleeGone = rejection('APP_UNREACHABLE', 'the callee took no connection');
    if (open !== true) return { ok: false, rejection: calleeGone, correlationId: '' };
    const { clock } = this;
    const onIdle = (channel: Channel) => this.#idle.put(channel);
    const channel = new Channel({ end: endOf(socket), fromSidecar: false, maxHeaderBytes: 16_384, clock, onIdle });
    this.channels.push(channel);
    return this.#found(channel);
  }
}

function endOf(stream: Socket) {
  return { stream, reset: () => resetSocket(stream) };
}
