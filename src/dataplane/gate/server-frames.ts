import type { DataPiece, FrameSink } from '../http2/frame-sink.ts';
import { ConnectionError, ERROR_CODE, MAX_31_BITS } from '../http2/protocol.ts';
import type { CallStream } from './call-stream.ts';
import type { GateCore } from './gate-core.ts';
import { prepareResponse } from './prepared-heads.ts';
import { translateSettings } from './settings.ts';

/** What the callee's side sends, and which of it goes on to the caller. */
export class ServerFrames implements FrameSink {
  /** Raised when the caller's side is told of a larger frame. */
  onMaxFrame: (bytes: number) => void = () => undefined;
  readonly #core: GateCore;
  #settingsSeen = false;

  constructor(core: GateCore) {
    this.#core = core;
  }

  get begun(): boolean {
    return this.#settingsSeen;
  }

  headers(streamId: number, block: Buffer, endStream: boolean): void {
    this.#mustHaveBegun();
    this.#mustBeKnown(streamId, 'HEADERS');
    const core = this.#core;
    const decoded = core.decodeAnswer(block);
    const stream = core.streams.get(streamId);
    if (stream === undefined) {
      core.serverFlood.spend('other frame');
      return;
    }
    if (stream.answer === 'ended')
      throw new ConnectionError('STREAM_CLOSED', `HEADERS on stream ${streamId} after its end`);
    if (decoded.tooLarge) {
      this.#malformed(stream, 'the header list of the answer is larger than this sidecar was told to take');
      return;
    }
    const { head, forward, refusedUnder } = prepareResponse(decoded, {
      answered: stream.answer === 'head',
      endStream,
      fromSidecar: core.options.direction === 'outbound',
    });
    switch (head.kind) {
      case 'malformed':
        this.#malformed(stream, head.problem);
        return;
      case 'informational':
        core.serverFlood.spend('other frame');
        core.headersToClient(streamId, forward, false);
        return;
      case 'final':
        stream.httpStatus = head.status;
        stream.answer = 'head';
        stream.responseLeft = lengthToExpect(stream, head.status, head.contentLength);
        break;
      case 'trailers':
    }
    if (head.grpcStatus !== undefined) stream.grpcStatus = head.grpcStatus;
    if (refusedUnder !== undefined) {
      stream.refusedByPeer = true;
      stream.correlationId = refusedUnder;
    }
    if (endStream && (stream.responseLeft ?? 0) > 0) {
      this.#malformed(stream, 'less DATA than content-length says');
      return;
    }
    core.headersToClient(streamId, forward, endStream);
    if (endStream) this.#ended(stream);
  }

  data(streamId: number, piece: DataPiece): void {
    this.#mustHaveBegun();
    this.#mustBeKnown(streamId, 'DATA');
    const core = this.#core;
    const { chunk, start, end, frameAt, endStream } = piece;
    const octets = end - start;
    if (octets === 0 && !endStream) core.serverFlood.spend('empty DATA');
    const stream = core.streams.get(streamId);
    if (stream === undefined) {
      core.giveBack('server', octets);
      return;
    }
    if (stream.answer !== 'head') {
      if (stream.answer === 'ended')
        throw new ConnectionError('STREAM_CLOSED', `DATA on stream ${streamId} after its end`);
      core.giveBack('server', octets);
      this.#malformed(stream, 'DATA before the head of the answer');
      return;
    }
    if (octets === 0 && !endStream) return;
    if (stream.responseLeft !== undefined) {
      stream.responseLeft -= octets;
      if (stream.responseLeft < 0 || (endStream && stream.responseLeft > 0)) {
        core.giveBack('server', octets);
        this.#malformed(stream, 'DATA and content-length do not agree');
        return;
      }
    }
    stream.responseBytes += octets;
    stream.responseWindow -= octets;
    core.connectionResponseWindow -= octets;
    core.clientFlood.earn();
    stream.responseMessages?.count(chunk, start, end);
    if (frameAt >= 0) core.toClient.pass(chunk, frameAt, end);
    else core.toClient.data(streamId, piece, endStream);
    if (endStream) this.#ended(stream);
  }

  padding(streamId: number, octets: number): void {
    this.#mustBeKnown(streamId, 'DATA');
    const core = this.#core;
    core.giveBack('server', octets);
    const stream = core.streams.get(streamId);
    if (stream !== undefined && stream.answer !== 'ended') core.toServer.windowUpdate(streamId, octets);
  }

  rstStream(streamId: number, code: number): void {
    this.#mustHaveBegun();
    this.#mustBeKnown(streamId, 'RST_STREAM');
    const core = this.#core;
    const stream = core.streams.get(streamId);
    if (stream === undefined) return;
    core.toClient.rstStream(streamId, code);
    core.close(stream, { resetCode: code });
  }

  windowUpdate(streamId: number, increment: number): void {
    this.#mustHaveBegun();
    this.#core.serverFlood.spendWindowUpdate();
    const core = this.#core;
    if (streamId === 0) {
      if (increment === 0) throw new ConnectionError('PROTOCOL_ERROR', 'WINDOW_UPDATE of 0');
      core.connectionRequestWindow += increment;
      if (core.connectionRequestWindow > MAX_31_BITS) {
        throw new ConnectionError('FLOW_CONTROL_ERROR', 'the window of the connection overflows');
      }
      core.toClient.windowUpdate(0, increment);
      return;
    }
    this.#mustBeKnown(streamId, 'WINDOW_UPDATE');
    const stream = core.streams.get(streamId);
    if (stream === undefined) return;
    stream.requestWindow += increment;
    if (increment === 0) this.#malformed(stream, 'WINDOW_UPDATE of 0');
    else if (stream.requestWindow > MAX_31_BITS)
      this.#broken(stream, ERROR_CODE.FLOW_CONTROL_ERROR, 'the window of a stream overflows');
    else core.toClient.windowUpdate(streamId, increment);
  }

  settings(payload: Buffer): void {
    const core = this.#core;
    const first = !this.#settingsSeen;
    this.#settingsSeen = true;
    if (!first) this.#core.serverFlood.spend('settings');
    const { maxConcurrent, maxHeaderListBytes } = core.options.limits;
    const isNews = first && !core.clientHasSettings;
    const told = translateSettings(payload, { from: 'server', first: isNews, maxConcurrent, maxHeaderListBytes });
    core.clientHasSettings = true;
    core.changeRequestWindow(told.initialWindow);
    if (told.maxFrame !== undefined) this.onMaxFrame(told.maxFrame);
    core.serverTableNews = true;
    core.acksDue.client += 1;
    core.toClient.settings(told.entries);
  }

  settingsAck(): void {
    this.#mustHaveBegun();
    this.#core.acknowledge('server');
  }

  ping(payload: Buffer, ack: boolean): void {
    this.#mustHaveBegun();
    this.#core.ping('server', payload, ack);
  }

  /** The callee takes no streams above that one: what it has not looked at, its caller may try elsewhere. */
  goaway(lastStreamId: number, code: number): void {
    this.#mustHaveBegun();
    this.#core.serverFlood.spend('other frame');
    const core = this.#core;
    core.leaving = true;
    core.acceptUpTo = Math.min(core.acceptUpTo, lastStreamId);
    // Never more than the client was told before (RFC 9113, section 6.8).
    core.toClient.goaway(core.acceptUpTo, code);
    for (const stream of core.streams.values()) {
      if (stream.streamId > lastStreamId) core.close(stream, { resetCode: ERROR_CODE.REFUSED_STREAM });
    }
  }

  ignored(): void {
    this.#mustHaveBegun();
    this.#core.serverFlood.spend('other frame');
  }

  pushPromise(): void {
    throw new ConnectionError('PROTOCOL_ERROR', 'PUSH_PROMISE, which was switched off');
  }

  #ended(stream: CallStream): void {
    stream.answer = 'ended';
    this.#core.closeIfOver(stream);
  }

  #malformed(stream: CallStream, problem: string): void {
    this.#broken(stream, ERROR_CODE.PROTOCOL_ERROR, problem);
  }

  #broken(stream: CallStream, code: number, problem: string): void {
    this.#core.serverFlood.spend('reset');
    this.#core.resetBoth(stream, code, this.#core.malformed(problem));
  }

  #mustHaveBegun(): void {
    if (!this.#settingsSeen) throw new ConnectionError('PROTOCOL_ERROR', 'the first frame is not SETTINGS');
  }

  /** The callee cannot speak of what it was never told. */
  #mustBeKnown(streamId: number, what: string): void {
    if (streamId > this.#core.highestForwarded || streamId % 2 === 0) {
      throw new ConnectionError('PROTOCOL_ERROR', `${what} on stream ${streamId}, which was never opened`);
    }
  }
}

/** Answers without a body may still say how long it would be (RFC 9110, section 8.6). */
function lengthToExpect({ request }: CallStream, status: number, stated: number | undefined): number | undefined {
  return request.method === 'HEAD' || status === 304 ? undefined : stated;
}
