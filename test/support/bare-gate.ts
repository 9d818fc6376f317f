import { Gate, type GateOptions } from '../../src/dataplane/gate/gate.ts';
import { CLIENT_PREFACE } from '../../src/dataplane/http2/protocol.ts';
import type { Clock } from '../../src/platform/clock.ts';
import { gateOptions, RecordingPolicy } from './gated-pair.ts';
import { frames, inWords, readFrames, type ReadFrame } from './http2-bytes.ts';

export type Side = 'client' | 'server';

/** A clock that stands still until it is told to go on. */
export class StillClock implements Clock {
  ms = 0;

  now(): number {
    return this.ms;
  }

  monotonic(): number {
    return this.ms;
  }
}

/** A gate without sockets: bytes in, frames out. */
export class BareGate {
  readonly policy = new RecordingPolicy();
  readonly clock = new StillClock();
  readonly gate: Gate;
  #prefaceTaken = false;

  constructor(options: Partial<GateOptions> = {}) {
    this.gate = new Gate(gateOptions(this.policy, { clock: this.clock, ...options }));
  }

  /** A gate whose both sides have exchanged SETTINGS; nothing waits in its outputs. */
  static begun(options: Partial<GateOptions> = {}): BareGate {
    const bare = new BareGate(options);
    bare.from('client', frames.preface, frames.settings(), frames.settingsAck());
    bare.from('server', frames.settings(), frames.settingsAck());
    bare.from('client', frames.settingsAck());
    bare.take('client');
    bare.take('server');
    return bare;
  }

  /** Each piece is a chunk. */
  from(side: Side, ...chunks: readonly Buffer[]): this {
    for (const chunk of chunks) {
      if (side === 'client') this.gate.fromClient(chunk);
      else this.gate.fromServer(chunk);
    }
    return this;
  }

  /** What goes out to a side since the last time, without the preface. @throws Error if it is no whole frames */
  take(side: Side): ReadFrame[] {
    const { toClient, toServer } = this.gate.core;
    let bytes = Buffer.concat(side === 'client' ? toClient.take() : toServer.take());
    if (side === 'server' && !this.#prefaceTaken && bytes.length > 0) {
      if (!bytes.subarray(0, CLIENT_PREFACE.length).equals(CLIENT_PREFACE)) throw new Error('no preface');
      this.#prefaceTaken = true;
      bytes = bytes.subarray(CLIENT_PREFACE.length);
    }
    return readFrames(bytes);
  }

  /** The same in words. */
  said(to: Side): string[] {
    return this.take(to).map(inWords);
  }
}

export function other(side: Side): Side {
  return side === 'client' ? 'server' : 'client';
}
