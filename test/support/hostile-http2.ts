import type { TestContext } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { dataAnswerCodec } from '../../src/wire/services.ts';
import { framePreface } from '../../src/sidecar/data/preface.ts';
import type { Attacker } from './attacker.ts';
import type { Identity } from './forgery.ts';
import { HostileAcceptor } from './hostile-acceptor.ts';
import { dataOf, openData } from './hostile-data.ts';
import type { HostileExchange } from './hostile-exchange.ts';
import { RawHttp2, settingsFrame } from './raw-http2.ts';
import type { TestAgent } from './test-agent.ts';
import { Arrivals } from './arrivals.ts';

/** A data connection of a peer that was admitted, accepted by the victim; what it carries is the test's to say. */
export async function openPeerConnection(
  attacker: Attacker,
  victim: TestAgent,
  exchange: HostileExchange,
): Promise<RawHttp2> {
  const data = await openData(attacker, victim.inbound, dataOf(exchange));
  const answer = await data.answer();
  if (answer !== 'accepted') throw new Error(`the victim refused the data connection: ${answer}`);
  const { received } = data;
  return new RawHttp2(data.socket, { before: received.subarray(2 + received.readUInt16BE(0)) });
}

/** A peer that the victim calls: it is admitted, accepts data connections, and then speaks HTTP/2 as the test says. */
export class HostileCallee {
  readonly acceptor: HostileAcceptor;
  /** Each data connection, when its DataOpen has been answered. */
  readonly connections = new Arrivals<RawHttp2>('a data connection at the hostile callee');

  private constructor(identity: Identity) {
    this.acceptor = new HostileAcceptor({ identity: () => identity, onData: (socket) => this.#accept(socket) });
  }

  static async start(t: TestContext, identity: Identity): Promise<HostileCallee> {
    const callee = new HostileCallee(identity);
    await callee.acceptor.start(t);
    return callee;
  }

  get address(): string {
    return this.acceptor.address;
  }

  #accept(socket: TLSSocket): void {
    socket.once('data', (open: Buffer) => {
      const connection = new RawHttp2(socket, { before: open.subarray(2 + open.readUInt16BE(0)), role: 'server' });
      socket.write(framePreface(dataAnswerCodec.encode({ accepted: {} })));
      connection.send(settingsFrame([]));
      this.connections.add(connection);
    });
  }
}
