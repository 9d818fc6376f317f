import { rejection } from '../../domain/rejection.ts';
import type { DataPiece, FrameSink } from '../http2/frame-sink.ts';
import { ConnectionError, ERROR_CODE, MAX_31_BITS } from '../http2/protocol.ts';
import type { CallDecision, CallRequest } from './call.ts';
import { CallStream } from './call-stream.ts';
import type { GateCore } from './gate-core.ts';
import { prepareRequest, type PreparedRequest } from './prepared-heads.ts';
import { encodeTraceparent } from './traced-block.ts';
import { withoutReserved } from './reserved-fields.ts';
import { requestTrailersProblem } from './response-head.ts';
import { translateSettings } from './settings.ts';
import { encodeFields } from '../hpack/encoder.ts';

/** What the caller's side sends: which of it goes on to the callee, and what the caller is answered at once. */
export class ClientFrames implements FrameSink {
  /** Raised when the callee's side is told of a larger frame. */
  onMaxFrame: (bytes: number) => void = () => undefined;
  /** How many SETTINGS of ours the client has still to acknowledge; the callee never hears of those. */
  ownSettings = 0;
  readonly #core: GateCore;
  #settingsSeen = false;
  /** The streams between these two were never opened; of several such gaps, the last. */
  #passedOver = { from: 0, to: 0 };

  constructor(core: GateCore) {
    this.#core = core;
  }

  /** Whether the connection has begun as it must. */
  get begun(): boolean {
    return this.#settingsSeen;
  }

  headers(streamId: number, block: Buffer, endStream: boolean): void {
    this.#mustHaveBegun();
    const core = this.#core;
    const { block: decoded, traceparent } = core.decodeRequest(block);
    const open = core.streams.get(streamId);
    if (open !== undefined) {
      if (open.requestEnded) throw new ConnectionError('STREAM_CLOSED', `HEADERS on stream ${streamId} after its end`);
      if (decoded.tooLarge) core.resetBoth(open, ERROR_CODE.ENHANCE_YOUR_CALM, tooLarge());
      else {
        // It is apart only because the same bytes came before as a head.
        const apart = traceparent === undefined ? [] : [{ name: 'traceparent', value: traceparent }];
        this.#trailers(open, [...decoded.fields, ...apart], endStream);
      }
      return;
    }
    if (streamId % 2 === 0) throw new ConnectionError('PROTOCOL_ERROR', `a client opened stream ${streamId}`);
    if (streamId <= core.highest) {
      if (!core.closed.has(streamId)) this.#neverAgain(streamId);
      core.clientFlood.spend('other frame');
      return;
    }
    if (streamId > core.highest + 2) this.#passedOver = { from: core.highest, to: streamId };
    core.highest = streamId;
    if (streamId > core.acceptUpTo || core.streams.size >= core.options.limits.maxConcurrent) {
      this.#reset(streamId, ERROR_CODE.REFUSED_STREAM);
      return;
    }
    if (decoded.tooLarge) {
      const request: CallRequest = {
        method: '',
        path: '/',
        authority: '',
        isGrpc: decoded.fields.some(
          ({ name, value }) => name === 'content-type' && value.startsWith('application/grpc'),
        ),
        headers: [],
      };
      core.refuse({ streamId, request, label: 'other' }, tooLarge(), endStream);
      this.#core.clientFlood.spend('refused');
      return;
    }
    const prepared = prepareRequest(decoded, core.options.limits.maxDeadlineMs);
    if (prepared.ok) this.#open(streamId, prepared, { traceparent, endStream });
    else {
      core.options.policy.violated(core.malformed(prepared.problem));
      this.#reset(streamId, ERROR_CODE.PROTOCOL_ERROR);
    }
  }

  /** @param more the caller's `traceparent`, if it is not one of the fields, and whether the request has no body */
  #open(
    streamId: number,
    prepared: PreparedRequest & { ok: true },
    more: { readonly traceparent: string | undefined; readonly endStream: boolean },
  ): void {
    const { endStream } = more;
    const core = this.#core;
    const { policy, newTraceparent } = core.options;
    const { head, forward, timeoutInvalid } = prepared;
    const { request } = head;
    if (endStream && (head.contentLength ?? 0) > 0) {
      policy.violated(core.malformed('a request without a body that says how long it is'));
      this.#reset(streamId, ERROR_CODE.PROTOCOL_ERROR);
      return;
    }
    const judged = policy.decide(request, timeoutInvalid);
    const decision = judged.permitted && timeoutInvalid ? withoutDeadline(judged.label) : judged;
    if (!decision.permitted) {
      core.refuse({ streamId, request, label: decision.label }, decision.rejection, endStream);
      this.#core.clientFlood.spend('refused');
      return;
    }
    const traceparent = prepared.traceparent ?? more.traceparent ?? newTraceparent();
    const stream = new CallStream({
      request,
      label: decision.label,
      streamId,
      traceparent,
      startedAt: core.now,
      requestWindow: core.requestWindow,
      responseWindow: core.responseWindow,
    });
    stream.requestLeft = head.contentLength;
    stream.requestEnded = endStream;
    core.streams.set(streamId, stream);
    core.highestForwarded = streamId;
    // Last but for what this side adds, so that the next sidecar finds what comes before it the same in every call.
    const parts = prepared.traceparent === undefined ? [forward, encodeTraceparent(traceparent)] : [forward];
    const identity = core.identityBlock();
    if (identity.length > 0) parts.push(identity);
    core.headersToServer(streamId, parts, endStream);
    policy.started(stream);
  }

  #trailers(stream: CallStream, fields: Parameters<typeof withoutReserved>[0], endStream: boolean): void {
    const core = this.#core;
    const problem =
      requestTrailersProblem(fields, endStream) ??
      (stream.requestLeft === undefined || stream.requestLeft === 0 ? undefined : 'less DATA than content-length says');
    if (problem !== undefined) {
      this.#malformed(stream, problem);
      return;
    }
    stream.requestEnded = true;
    core.headersToServer(stream.streamId, [encodeFields(withoutReserved(fields))], true);
    core.closeIfOver(stream);
  }

  data(streamId: number, piece: DataPiece): void {
    this.#mustHaveBegun();
    const core = this.#core;
    const { chunk, start, end, frameAt, endStream } = piece;
    const octets = end - start;
    if (octets === 0 && !endStream) core.clientFlood.spend('empty DATA');
    const stream = core.streams.get(streamId);
    if (stream === undefined) {
      this.#mustBeKnown(streamId, 'DATA');
      if (!core.closed.has(streamId))
        throw new ConnectionError('STREAM_CLOSED', `DATA on stream ${streamId}, which is over`);
      core.giveBack('client', octets);
      return;
    }
    if (stream.requestEnded) throw new ConnectionError('STREAM_CLOSED', `DATA on stream ${streamId} after its end`);
    if (octets === 0 && !endStream) return;
    stream.requestBytes += octets;
    stream.requestWindow -= octets;
    core.connectionRequestWindow -= octets;
    if (stream.requestLeft !== undefined) {
      stream.requestLeft -= octets;
      if (stream.requestLeft < 0 || (endStream && stream.requestLeft > 0)) {
        core.giveBack('client', octets);
        core.connectionRequestWindow += octets;
        this.#malformed(stream, 'DATA and content-length do not agree');
        return;
      }
    }
    core.serverFlood.earn();
    stream.requestMessages?.count(chunk, start, end);
    if (frameAt >= 0) core.toServer.pass(chunk, frameAt, end);
    else core.toServer.data(streamId, piece, endStream);
    if (!endStream) return;
    stream.requestEnded = true;
    core.closeIfOver(stream);
  }

  padding(streamId: number, octets: number): void {
    this.#mustBeKnown(streamId, 'DATA');
    const core = this.#core;
    core.giveBack('client', octets);
    if (core.streams.get(streamId)?.requestEnded === false) core.toClient.windowUpdate(streamId, octets);
  }

  rstStream(streamId: number, code: number): void {
    this.#mustHaveBegun();
    this.#mustBeKnown(streamId, 'RST_STREAM');
    this.#core.clientFlood.spend('reset');
    const core = this.#core;
    const stream = core.streams.get(streamId);
    if (stream === undefined) return;
    core.toServer.rstStream(streamId, code);
    core.close(stream, { resetCode: code, cancelled: stream.answer !== 'ended' });
  }

  windowUpdate(streamId: number, increment: number): void {
    this.#mustHaveBegun();
    this.#core.clientFlood.spendWindowUpdate();
    const core = this.#core;
    if (streamId === 0) {
      if (increment === 0) throw new ConnectionError('PROTOCOL_ERROR', 'WINDOW_UPDATE of 0');
      core.connectionResponseWindow += increment;
      if (core.connectionResponseWindow > MAX_31_BITS) {
        throw new ConnectionError('FLOW_CONTROL_ERROR', 'the window of the connection overflows');
      }
      core.toServer.windowUpdate(0, increment);
      return;
    }
    this.#mustBeKnown(streamId, 'WINDOW_UPDATE');
    const stream = core.streams.get(streamId);
    if (stream === undefined) return;
    stream.responseWindow += increment;
    if (increment === 0) this.#broken(stream, ERROR_CODE.PROTOCOL_ERROR, 'WINDOW_UPDATE of 0');
    else if (stream.responseWindow > MAX_31_BITS) {
      this.#broken(stream, ERROR_CODE.FLOW_CONTROL_ERROR, 'the window of a stream overflows');
    } else core.toServer.windowUpdate(streamId, increment);
  }

  settings(payload: Buffer): void {
    const core = this.#core;
    const first = !this.#settingsSeen;
    this.#settingsSeen = true;
    if (!first) this.#core.clientFlood.spend('settings');
    const { maxConcurrent, maxHeaderListBytes } = core.options.limits;
    const told = translateSettings(payload, { from: 'client', first, maxConcurrent, maxHeaderListBytes });
    core.changeResponseWindow(told.initialWindow);
    if (told.maxFrame !== undefined) this.onMaxFrame(told.maxFrame);
    core.clientTableNews = true;
    core.acksDue.server += 1;
    core.toServer.settings(told.entries);
  }

  settingsAck(): void {
    this.#mustHaveBegun();
    if (this.ownSettings > 0) this.ownSettings -= 1;
    else this.#core.acknowledge('client');
  }

  ping(payload: Buffer, ack: boolean): void {
    this.#mustHaveBegun();
    this.#core.ping('client', payload, ack);
  }

  /** The client accepts no more pushes, of which there are none: it is about to go. */
  goaway(_lastStreamId: number, code: number): void {
    this.#mustHaveBegun();
    this.#core.clientFlood.spend('other frame');
    this.#core.toServer.goaway(0, code);
  }

  ignored(): void {
    this.#mustHaveBegun();
    this.#core.clientFlood.spend('other frame');
  }

  pushPromise(): void {
    throw new ConnectionError('PROTOCOL_ERROR', 'PUSH_PROMISE from a client');
  }

  /** HEADERS on a stream that is over, or that was passed over and may not be opened any more (RFC 9113, section 5.1.1). */
  #neverAgain(streamId: number): never {
    const { from, to } = this.#passedOver;
    const wasOpen = streamId <= from || streamId >= to;
    throw new ConnectionError(wasOpen ? 'STREAM_CLOSED' : 'PROTOCOL_ERROR', `HEADERS on stream ${streamId}, too late`);
  }

  #reset(streamId: number, code: number): void {
    this.#core.clientFlood.spend('reset');
    this.#core.closed.add(streamId);
    this.#core.toClient.rstStream(streamId, code);
  }

  #malformed(stream: CallStream, problem: string): void {
    this.#broken(stream, ERROR_CODE.PROTOCOL_ERROR, problem);
  }

  #broken(stream: CallStream, code: number, problem: string): void {
    this.#core.clientFlood.spend('reset');
    this.#core.resetBoth(stream, code, this.#core.malformed(problem));
  }

  #mustHaveBegun(): void {
    if (!this.#settingsSeen) throw new ConnectionError('PROTOCOL_ERROR', 'the first frame is not SETTINGS');
  }

  /** A stream that was never opened has no frames but HEADERS and PRIORITY (RFC 9113, section 5.1). */
  #mustBeKnown(streamId: number, what: string): void {
    if (streamId > this.#core.highest || streamId % 2 === 0) {
      throw new ConnectionError('PROTOCOL_ERROR', `${what} on stream ${streamId}, which was never opened`);
    }
  }
}

function withoutDeadline(label: string): CallDecision {
  return { permitted: false, label, rejection: rejection('CALL_DEADLINE_INVALID', 'grpc-timeout is no deadline') };
}

function tooLarge() {
  return rejection('CALL_HEADERS_TOO_LARGE', 'the header list is larger than this sidecar was told to take');
}
