import type { TLSSocket } from 'node:tls';
import { dataAnswerCodec, dataOpenCodec } from '../../src/wire/services.ts';
import { framePreface } from '../../src/sidecar/data/preface.ts';
import type { Attacker } from './attacker.ts';
import type { Identity } from './forgery.ts';
import type { HostileExchange } from './hostile-exchange.ts';

export interface HostileDataOptions {
  readonly identity: Identity;
  /** Hexadecimal. */
  readonly sessionId: string;
  readonly instanceId: string;
  readonly correlationId?: string;
  /** Sent right behind the preface, before any answer. */
  readonly early?: string;
  /** Sent in place of the preface. */
  readonly raw?: Uint8Array;
}

/** A data connection in the hands of an attacker. */
export class HostileData {
  readonly socket: TLSSocket;
  /** Everything that came back, the answer included. */
  received = Buffer.alloc(0);
  readonly closed: Promise<void>;
  #wake = (): void => undefined;
  #over = false;

  constructor(socket: TLSSocket, { paused = false } = {}) {
    this.socket = socket;
    if (!paused) this.read();
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        this.#over = true;
        this.#wake();
        resolve();
      });
    });
  }

  read(): void {
    this.socket.on('data', (chunk: Buffer) => {
      this.received = Buffer.concat([this.received, chunk]);
      this.#wake();
    });
  }

  /** `accepted`, the refusal's reason, or `undefined` when the connection closed without an answer. */
  async answer(): Promise<string | undefined> {
    const length = () => (this.received.length < 2 ? Infinity : this.received.readUInt16BE(0));
    while (this.received.length < 2 + length() && !this.#over)
      await new Promise<void>((resolve) => (this.#wake = resolve));
    if (this.received.length < 2 + length()) return undefined;
    const { answer, refusal } = dataAnswerCodec.decode(this.received.subarray(2, 2 + length()));
    return answer === 'accepted' ? 'accepted' : (refusal?.reason ?? 'nothing');
  }

  /** What came after the answer, once there is so much of it. */
  async payload(atLeast: number): Promise<Buffer> {
    const start = () => 2 + this.received.readUInt16BE(0);
    while (this.received.length < start() + atLeast && !this.#over)
      await new Promise<void>((resolve) => (this.#wake = resolve));
    return this.received.subarray(start());
  }
}

/** Opens a data connection and says whom it is for, truthfully or not. */
export async function openData(attacker: Attacker, address: string, options: HostileDataOptions): Promise<HostileData> {
  const { identity, sessionId, instanceId, correlationId = 'data-1', early = '', raw } = options;
  const socket = await attacker.tls(address, { identity, ALPNProtocols: ['ait-data/1'] });
  const open = framePreface(
    dataOpenCodec.encode({ sessionId: Buffer.from(sessionId, 'hex'), instanceId, correlationId }),
  );
  const data = new HostileData(socket);
  socket.write(raw ?? Buffer.concat([open, Buffer.from(early)]));
  return data;
}

/** The data connection that an honest dialler would open for this exchange. */
export function dataOf(exchange: HostileExchange): Pick<HostileDataOptions, 'identity' | 'sessionId' | 'instanceId'> {
  const { identity, sessionId, theirs } = exchange;
  return { identity, sessionId, instanceId: theirs?.instanceId ?? '' };
}
